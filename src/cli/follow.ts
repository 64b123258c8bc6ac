/** Watches one story to its end, across restarts of the daemon. */
import { setTimeout as sleep } from "node:timers/promises";
import { TwinboardError } from "../errors.ts";
import type { Client, StoryEvent } from "./client.ts";

const firstPauseMs = 100;
const longestPauseMs = 2000;
/** A daemon that is not back by then is not coming back by itself. */
const patienceMs = 10 * 60_000;

export type Followed = StoryEvent | { readonly lost: TwinboardError } | { readonly found: true };

/**
 * Events of `story` after record `after`, up to the record that ends it. A lost connection is made again, from the last record on.
 * Errors: `daemon-unreachable` after ten minutes without a daemon; the signal's reason.
 */
export async function* follow(
  client: Client,
  story: string,
  after: number,
  signal: AbortSignal,
): AsyncGenerator<Followed> {
  let seen = after;
  let lostAt: number | undefined;
  let pauseMs = firstPauseMs;
  for (;;) {
    try {
      for await (const event of client.events(seen, signal)) {
        if (lostAt !== undefined) yield { found: true };
        [lostAt, pauseMs] = [undefined, firstPauseMs];
        if ("record" in event) seen = event.record.seq;
        const of = "record" in event ? event.record.story : event.progress.story;
        if (of !== story) continue;
        yield event;
        if ("record" in event && event.record.event === "story-ended") return;
      }
      throw new TwinboardError("daemon-unreachable", { detail: "the daemon ended the connection" });
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof TwinboardError) || error.code !== "daemon-unreachable") throw error;
      const now = performance.now();
      if (lostAt === undefined) yield { lost: error };
      lostAt ??= now;
      if (now - lostAt > patienceMs) throw error;
    }
    await sleep(pauseMs, undefined, { signal });
    pauseMs = Math.min(longestPauseMs, pauseMs * 2);
  }
}
