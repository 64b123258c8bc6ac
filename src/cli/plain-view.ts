/** A story line by line, for logs and pipes. */

import type { Followed } from "./follow.ts";
import { bytesText, durationText } from "./format.ts";
import type { StoryProgress } from "./story-progress.ts";

export class PlainView {
  readonly #out: NodeJS.WritableStream;
  #awaiting = "";
  #tenth = 0;

  constructor(out: NodeJS.WritableStream, title: string) {
    this.#out = out;
    this.#line(title);
  }

  show(event: Followed, story: StoryProgress): void {
    if ("lost" in event) this.#line("the daemon does not answer; what it began goes on, waiting for it");
    else if ("found" in event) this.#line("the daemon is back");
    else if ("progress" in event) this.#progress(event.progress);
    else {
      const { record } = event;
      const name = record.phase ?? record.kind;
      const ms = record.phase === null ? undefined : story.phases[record.phase]?.ms;
      const took = ms === undefined ? "" : ` (${durationText(ms)})`;
      [this.#awaiting, this.#tenth] = ["", 0];
      if (record.event === "phase-began") this.#line(`${name} …`);
      if (record.event === "phase-done") this.#line(`${name} done${took}`);
      if (record.event === "phase-failed") this.#line(`${name} FAILED${took}`);
      if (record.event === "undo-began") this.#line("undoing what was done …");
      if (record.event === "undo-done") this.#line("undone");
      if (record.event === "recovered") this.#line("a restarted daemon goes on with it");
    }
  }

  close(): void {}

  /** What is awaited once, and bytes at each tenth: a log is not a progress bar. */
  #progress(progress: NonNullable<StoryProgress["progress"]>): void {
    const { phase, awaiting, bytes, totalBytes, drain } = progress;
    if (awaiting !== undefined && awaiting !== this.#awaiting) {
      this.#awaiting = awaiting;
      if (bytes === undefined && drain === undefined) this.#line(`${phase}: awaiting ${awaiting}`);
    }
    if (bytes === undefined || totalBytes === undefined || totalBytes === 0) return;
    const tenth = Math.floor((bytes / totalBytes) * 10);
    if (tenth <= this.#tenth) return;
    this.#tenth = tenth;
    this.#line(`${phase}: ${tenth}0 % of ${bytesText(totalBytes)}`);
  }

  #line(text: string): void {
    this.#out.write(`${text}\n`);
  }
}
