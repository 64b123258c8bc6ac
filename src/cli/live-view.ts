/** A story redrawn in place on a terminal: its phases as a list, and what the one under way is doing. */
import { styleText } from "node:util";
import type { Followed } from "./follow.ts";
import { bytesText, durationText } from "./format.ts";
import { fit, InPlace } from "./in-place.ts";
import type { PhaseProgress, StoryProgress } from "./story-progress.ts";

type Style = (style: Parameters<typeof styleText>[0], text: string) => string;

const redrawMs = 100;
const nameWidth = 10;
const timeWidth = 12;
const barWidth = 20;
const spinner = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

function barText(bytes: number, totalBytes: number): string {
  const share = totalBytes === 0 ? 1 : Math.min(1, bytes / totalBytes);
  const full = Math.round(share * barWidth);
  const bar = `${"█".repeat(full)}${"░".repeat(barWidth - full)}`;
  return `${bar} ${String(Math.floor(share * 100)).padStart(3)} % of ${bytesText(totalBytes)}`;
}

function detailText({ progress }: StoryProgress): string {
  if (progress === null) return "";
  const { awaiting, bytes, totalBytes, drain } = progress;
  const parts: string[] = [];
  if (bytes !== undefined)
    parts.push(totalBytes === undefined ? bytesText(bytes) : barText(bytes, totalBytes));
  if (awaiting !== undefined && bytes === undefined) parts.push(`awaiting ${awaiting}`);
  if (drain !== undefined) parts.push(`${drain.left} ${drain.left === 1 ? "flow" : "flows"} left to drain`);
  return parts.join(", ");
}

function markOf(state: PhaseProgress["state"], style: Style, tick: number): string {
  if (state === "done") return style("green", "✔");
  if (state === "failed") return style("red", "✘");
  if (state === "under way") return style("cyan", spinner[tick % spinner.length] ?? "·");
  return style("dim", "·");
}

/**
 * The lines of one picture; none is wider than `columns`. `nowMs` is milliseconds since 1970, `tick` turns the spinner. Pure.
 */
export function frame(
  title: string,
  story: StoryProgress,
  nowMs: number,
  columns: number,
  options: { readonly tick: number; readonly style: Style },
): string[] {
  const { tick, style } = options;
  const elapsed = story.beganAt === null ? "" : durationText(Math.max(0, nowMs - story.beganAt));
  const told = story.to === null ? title : `${title} to ${story.to}`;
  const lines = [`${style("bold", fit(told, columns - elapsed.length - 2))}  ${style("dim", elapsed)}`];
  for (const [name, phase] of Object.entries(story.phases)) {
    const { state, beganAt } = phase;
    const ms =
      phase.ms ?? (state === "under way" && beganAt !== undefined ? Math.max(0, nowMs - beganAt) : undefined);
    const time = (ms === undefined ? "" : durationText(ms)).padStart(timeWidth);
    const detail = state === "under way" ? detailText(story) : "";
    const text = fit(`${name.padEnd(nameWidth)}${time}  ${detail}`.trimEnd(), columns - 4);
    lines.push(`  ${markOf(state, style, tick)} ${state === "awaited" ? style("dim", text) : text}`);
  }
  const notes: string[] = [];
  if (story.undoing && !story.ended) notes.push("undoing what was done");
  if (story.lost) notes.push("the daemon does not answer; what it began goes on, waiting for it");
  for (const note of notes) lines.push(`  ${style("yellow", fit(note, columns - 2))}`);
  return lines;
}

export class LiveView {
  readonly #out: NodeJS.WriteStream;
  readonly #place: InPlace;
  readonly #title: string;
  readonly #timer: NodeJS.Timeout;
  #story: StoryProgress | undefined;
  #tick = 0;
  #closed = false;
  /** How far this clock is ahead of the one in the records, which comes with the first of them. */
  #aheadMs = 0;

  constructor(out: NodeJS.WriteStream, title: string) {
    this.#out = out;
    this.#place = new InPlace(out);
    this.#title = title;
    this.#timer = setInterval(() => {
      this.#tick += 1;
      this.#draw();
    }, redrawMs);
  }

  show(event: Followed, story: StoryProgress): void {
    if (this.#story === undefined && "record" in event) this.#aheadMs = Date.now() - event.record.at;
    this.#story = story;
    this.#draw();
  }

  close(): void {
    if (this.#closed) return;
    this.#draw();
    this.#closed = true;
    clearInterval(this.#timer);
    this.#place.close();
  }

  #draw(): void {
    if (this.#closed || this.#story === undefined) return;
    const style: Style = (format, text) => styleText(format, text, { stream: this.#out });
    const now = Date.now() - this.#aheadMs;
    const options = { tick: this.#tick, style };
    this.#place.draw(frame(this.#title, this.#story, now, this.#place.columns, options));
  }
}
