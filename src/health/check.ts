/** One question to a board. */

export interface Check {
  readonly name: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Failures in a row that make the check unhealthy. */
  readonly threshold: number;
  /**
   * Resolves if the board at `host` (as `net.connect` takes it, scope included) passes; else rejects with an Error whose message says
   * why, in a few words. Ends when the signal aborts.
   */
  ask(host: string, signal: AbortSignal): Promise<void>;
}

export interface CheckTiming {
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly failures: number;
}
