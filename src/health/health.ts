/** The contract of health: is a board fit to serve, and does it stay so? Asked over its mgmt card, so also of a fenced board. */
import type { Board } from "../board/board.ts";

export interface CheckResult {
  readonly name: string;
  readonly healthy: boolean;
  /** Failures in a row so far, and how many make the check unhealthy. */
  readonly failures: number;
  readonly threshold: number;
  /** Why the last one failed. */
  readonly reason?: string;
}

export interface HealthReport {
  /** No check is at its threshold. */
  readonly healthy: boolean;
  readonly checks: readonly CheckResult[];
}

/** How a board answered one question. */
export interface CheckAnswer {
  /** Name of the check. */
  readonly check: string;
  /** From the question to the whole answer, or until it had failed. */
  readonly ms: number;
  /** Why it failed; absent if it passed. */
  readonly reason?: string;
}

export interface Health {
  /**
   * Resolves once every check has passed in one round; asks until the signal aborts. Errors: `board-unhealthy` with the last reasons if
   * a deadline aborted it (a TimeoutError, or a TwinboardError `board-unhealthy` or `deadline-passed`); else the signal's reason.
   * `onAnswer` is told each answer as it comes.
   */
  verify(board: Board, signal: AbortSignal, onAnswer?: (answer: CheckAnswer) => void): Promise<HealthReport>;
  /** Asks each check at its interval from now on; calls `onAnswer` and `listener` after each answer. Returns what ends that. */
  watch(
    board: Board,
    listener: (report: HealthReport) => void,
    onAnswer?: (answer: CheckAnswer) => void,
  ): () => void;
}
