/** What the API needs of a system; the story's own `System` has this shape. */
import type { BoardConsole, BoardName } from "../board/board.ts";
import type { BundleSource } from "../delivery/delivery.ts";
import type { Report, StorySummary } from "../upgrade/report.ts";
import type { StoryResult, SystemStatus } from "../upgrade/status.ts";
import type { StoryEvent } from "../upgrade/story-events.ts";

export interface ServedSystem {
  status(): Promise<SystemStatus>;
  /** Resolves once the story began; a streamed bundle is read afterwards, by its deliver phase. Errors: `busy` and others of kind *rejected*. */
  upgrade(source: BundleSource, options: { readonly force: boolean }): Promise<{ readonly id: string }>;
  /** Errors: `busy`, `nothing-to-roll-back-to`. */
  rollback(): Promise<{ readonly id: string }>;
  /** Errors: `nothing-to-cancel`, `too-late-to-cancel`. */
  cancel(): Promise<void>;
  /** `undefined`: no story of this id has ended. */
  result(id: string): Promise<StoryResult | undefined>;
  /** Every story that is kept, newest first. */
  stories(): readonly StorySummary[];
  /** What there is to know of a story, also while it runs; `undefined`: none of this id is kept. */
  report(id: string): Report | undefined;
  /** Every record after `afterSeq` that is still kept, then what comes, until the signal aborts. */
  events(afterSeq: number, signal: AbortSignal): AsyncIterable<StoryEvent>;
  /** The last lines of a board's console, also of a board that is off. */
  consoleTail(board: BoardName, lines: number): Promise<string[]>;
  /** The same, then each line as it is complete, until the signal aborts. */
  followConsole(board: BoardName, lines: number, signal: AbortSignal): AsyncIterable<string>;
  /** Errors: `board-not-running`, `console-in-use`. */
  attachConsole(board: BoardName, signal: AbortSignal): Promise<BoardConsole>;
}
