/** Health by command, for tests of the story: no clock, no network, and the same order of calls each time. */
import type { Board, BoardName } from "../board/board.ts";
import { TwinboardError } from "../errors.ts";
import type { CheckAnswer, Health, HealthReport } from "./health.ts";

type Listener = () => void;

export class SimulatedHealth implements Health {
  /** Why a board is unhealthy. */
  readonly #reasons = new Map<BoardName, string>();
  readonly #listeners = new Map<BoardName, Set<Listener>>();

  /** From now on the board is unhealthy for this reason; those who watch it hear of it before this returns. */
  setUnhealthy(board: BoardName, reason = "simulated"): void {
    this.#reasons.set(board, reason);
    this.#tell(board);
  }

  /** How many wait for a board's answers, or watch it. */
  get watchers(): number {
    return [...this.#listeners.values()].reduce((sum, { size }) => sum + size, 0);
  }

  setHealthy(board: BoardName): void {
    this.#reasons.delete(board);
    this.#tell(board);
  }

  async verify(
    board: Board,
    signal: AbortSignal,
    onAnswer?: (answer: CheckAnswer) => void,
  ): Promise<HealthReport> {
    signal.throwIfAborted();
    const passed = Promise.withResolvers<HealthReport>();
    const look = (): void => {
      onAnswer?.(this.#answer(board.name));
      if (!this.#reasons.has(board.name)) passed.resolve(this.#report(board.name));
    };
    const abort = (): void => {
      const reason = signal.reason as Error;
      const deadline = reason instanceof TwinboardError && reason.code === "board-unhealthy";
      const detail = `board ${board.name}: simulated: ${this.#reasons.get(board.name) ?? ""}`;
      passed.reject(deadline ? new TwinboardError("board-unhealthy", { detail, cause: reason }) : reason);
    };
    const unlisten = this.#listen(board.name, look);
    signal.addEventListener("abort", abort, { once: true });
    try {
      look();
      return await passed.promise;
    } finally {
      unlisten();
      signal.removeEventListener("abort", abort);
    }
  }

  watch(
    board: Board,
    listener: (report: HealthReport) => void,
    onAnswer?: (answer: CheckAnswer) => void,
  ): () => void {
    const tell = (): void => {
      onAnswer?.(this.#answer(board.name));
      listener(this.#report(board.name));
    };
    const unlisten = this.#listen(board.name, tell);
    let watching = true;
    // The first answer comes as one of a network would: after the call has returned.
    queueMicrotask(() => {
      if (watching) tell();
    });
    return () => {
      watching = false;
      unlisten();
    };
  }

  #answer(board: BoardName): CheckAnswer {
    const reason = this.#reasons.get(board);
    return { check: "simulated", ms: 1, ...(reason === undefined ? {} : { reason }) };
  }

  #report(board: BoardName): HealthReport {
    const reason = this.#reasons.get(board);
    const healthy = reason === undefined;
    const check = { name: "simulated", healthy, failures: healthy ? 0 : 1, threshold: 1 };
    return { healthy, checks: [{ ...check, ...(reason === undefined ? {} : { reason }) }] };
  }

  #listen(board: BoardName, listener: Listener): () => void {
    const listeners = this.#listeners.get(board) ?? new Set();
    this.#listeners.set(board, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  #tell(board: BoardName): void {
    for (const listener of this.#listeners.get(board) ?? []) listener();
  }
}
