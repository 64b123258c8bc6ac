/** Watches a story that was just begun, until it ends or Ctrl-C lets go of it. */
import type { Client } from "./client.ts";
import { follow } from "./follow.ts";
import { outcomeExitCode } from "./outcome.ts";
import { nothingSeen, type StoryProgress, seen } from "./story-progress.ts";
import { chooseView } from "./view.ts";

/** 128 + SIGINT, as a shell reports it. */
const detachedExitCode = 130;

export interface Watch {
  readonly client: Client;
  readonly story: string;
  readonly kind: StoryProgress["kind"];
  /** Sequence number of a record before the story's first. */
  readonly after: number;
  readonly title: string;
  readonly json: boolean;
  /** Said when Ctrl-C lets go. */
  readonly detached: () => string;
}

/** Returns the exit code: that of the outcome, or 130 when somebody stopped watching. */
export async function watchStory(watch: Watch): Promise<number> {
  const { client, story: id, json } = watch;
  const letGo = new AbortController();
  const onSignal = (): void => letGo.abort();
  process.once("SIGINT", onSignal);
  process.once("SIGTERM", onSignal);
  const view = chooseView(json, watch.title);
  try {
    let story = nothingSeen(watch.kind);
    for await (const event of follow(client, id, watch.after, letGo.signal)) {
      story = seen(story, event);
      view.show(event, story);
    }
    view.close();
    const result = await client.story(id);
    view.end(result);
    return outcomeExitCode(result);
  } catch (error) {
    if (!letGo.signal.aborted) throw error;
    view.close();
    process.stderr.write(`\n${watch.detached()}\n`);
    return detachedExitCode;
  } finally {
    view.close();
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  }
}
