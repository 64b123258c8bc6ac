/** Shows a story while it goes on: live on a terminal, line by line elsewhere, or as JSON. */
import type { StoryResult } from "../api/schemas.ts";
import type { Followed } from "./follow.ts";
import { LiveView } from "./live-view.ts";
import { outcomeLines } from "./outcome.ts";
import { PlainView } from "./plain-view.ts";
import type { StoryProgress } from "./story-progress.ts";
import { printJson } from "./verb.ts";

export interface View {
  /** Something was seen; `story` is what is known with it. */
  show(event: Followed, story: StoryProgress): void;
  /** Shows nothing from here on, and leaves the terminal as it was. Repeatable. */
  close(): void;
  end(result: StoryResult): void;
}

/** One object a line: `{"record": …}`, `{"progress": …}`, and at the end `{"result": …}`. */
class JsonView implements View {
  show(event: Followed): void {
    if ("record" in event || "progress" in event) printJson(event);
  }
  close(): void {}
  end(result: StoryResult): void {
    printJson({ result });
  }
}

/** Progress goes to stderr, how it ended to stdout. */
export function chooseView(json: boolean, title: string): View {
  if (json) return new JsonView();
  const live = process.stderr.isTTY && process.env["TERM"] !== "dumb";
  const view = live ? new LiveView(process.stderr, title) : new PlainView(process.stderr, title);
  return {
    show: (event, story) => view.show(event, story),
    close: () => view.close(),
    end: (result) => process.stdout.write(`${outcomeLines(result).join("\n")}\n`),
  };
}
