/** The one place at a board's console: whoever has it keeps it until he leaves, or until the board no longer runs. */
import { TwinboardError } from "../errors.ts";
import type { BoardConsole, BoardName } from "./board.ts";

export class ConsoleSeat {
  readonly #board: BoardName;
  /** Ends what somebody who is attached to the console has. */
  #taken: AbortController | undefined;

  constructor(board: BoardName) {
    this.#board = board;
  }

  /** @param open is given what ends the attachment. Errors: `console-in-use`, those of `open`; the signal's reason. */
  async take(open: (over: AbortSignal) => Promise<BoardConsole>, signal: AbortSignal): Promise<BoardConsole> {
    signal.throwIfAborted();
    if (this.#taken !== undefined)
      throw new TwinboardError("console-in-use", { detail: `board ${this.#board}` });
    const taken = new AbortController();
    this.#taken = taken;
    const over = AbortSignal.any([signal, taken.signal]);
    over.addEventListener("abort", () => {
      if (this.#taken === taken) this.#taken = undefined;
    });
    try {
      return await open(over);
    } catch (error) {
      taken.abort();
      throw error;
    }
  }

  /** The board no longer runs. Repeatable. */
  clear(): void {
    this.#taken?.abort(new TwinboardError("board-not-running", { detail: `board ${this.#board}` }));
  }
}
