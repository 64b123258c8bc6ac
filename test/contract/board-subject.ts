/** What a test of the contract of a board is given, whatever the driver. */
import assert from "node:assert/strict";
import type { Board, BoardDevice, BoardStart } from "../../src/board/board.ts";
import type { ErrorCode } from "../../src/errors.ts";

export interface BoardSubject extends AsyncDisposable {
  readonly board: Board;
  /** The daemon was killed; another one, on the same host. */
  readonly restart: () => Board;
  /** The daemon was started anew with `boards.dormancy: lean`; another one, on the same host. */
  readonly restartLean: () => Board;
  /**
   * What to boot, as a new instance. Software reports `reports`; *never*: it is never ready. It has the hook `activate`, which is done at
   * once, and `deactivate`, which fails; no hook `export-state`.
   */
  readonly software: (faults?: { readonly reports?: string }) => BoardStart;
  /** A device of the host that the board can be given: its node is there, and opens for the board's process. */
  readonly device: () => Promise<BoardDevice>;
  /** The software crashes, shuts down or resets its machine. */
  readonly die: (cause: "panic" | "shutdown" | "reset") => Promise<void>;
  /** The board's process is killed from outside. */
  readonly kill: () => Promise<void>;
  /** The board, which says that it lives, falls silent. */
  readonly hang: () => Promise<void>;
  /** Longer than the board may be silent, in milliseconds. */
  readonly silenceMs: number;
}

/** A test of a board of its own. */
export type OnBoard = (
  name: string,
  body: (subject: BoardSubject, signal: AbortSignal) => Promise<void>,
) => void;

export async function rejects(promise: Promise<unknown>, code: ErrorCode): Promise<void> {
  await assert.rejects(promise, { name: "TwinboardError", code });
}
