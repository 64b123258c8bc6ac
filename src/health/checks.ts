/** What the checks of a system add up to. */
import type { Board } from "../board/board.ts";
import { TwinboardError } from "../errors.ts";
import { type Clock, systemClock } from "../system/clock.ts";
import type { Check } from "./check.ts";
import type { CheckAnswer, CheckResult, Health, HealthReport } from "./health.ts";

const maxReasonCharacters = 200;
/** Between the rounds of `verify`, where every check has an interval that is longer. */
const longestRoundMs = 1000;

const ignore = (): void => undefined;

/** What one check has said so far. */
class Count {
  readonly check: Check;
  #failures = 0;
  #reason: string | undefined;

  constructor(check: Check) {
    this.check = check;
  }

  /** Asks once. Errors: the signal's reason; what the board does wrong is counted. */
  async ask(host: string, clock: Clock, signal: AbortSignal): Promise<CheckAnswer> {
    const began = clock.monotonic();
    const reason = await ask(this.check, host, clock, signal);
    const ms = clock.monotonic() - began;
    signal.throwIfAborted();
    this.#failures = reason === undefined ? 0 : this.#failures + 1;
    this.#reason = reason;
    return { check: this.check.name, ms, ...(reason === undefined ? {} : { reason }) };
  }

  get passed(): boolean {
    return this.#failures === 0;
  }

  get result(): CheckResult {
    const { name, threshold } = this.check;
    const failures = this.#failures;
    const reason = this.#reason === undefined ? {} : { reason: this.#reason };
    return { name, healthy: failures < threshold, failures, threshold, ...reason };
  }
}

/** Why the check failed, or `undefined`. The timer is gone when it resolves. */
async function ask(
  check: Check,
  host: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<string | undefined> {
  const late = new AbortController();
  const answered = new AbortController();
  const expiry = clock.sleep(check.timeoutMs, answered.signal).then(
    () => late.abort(),
    () => undefined,
  );
  try {
    await check.ask(host, AbortSignal.any([signal, late.signal]));
    return undefined;
  } catch (error) {
    if (late.signal.aborted) return `no answer within ${check.timeoutMs} ms`;
    return (error as Error).message.slice(0, maxReasonCharacters);
  } finally {
    answered.abort();
    await expiry;
  }
}

function report(counts: readonly Count[]): HealthReport {
  const checks = counts.map((count) => count.result);
  return { healthy: checks.every((check) => check.healthy), checks };
}

export class Checks implements Health {
  readonly #checks: readonly Check[];
  readonly #clock: Clock;

  constructor(checks: readonly Check[], clock: Clock = systemClock) {
    this.#checks = checks;
    this.#clock = clock;
  }

  async verify(
    board: Board,
    signal: AbortSignal,
    onAnswer: (answer: CheckAnswer) => void = ignore,
  ): Promise<HealthReport> {
    const counts = this.#checks.map((check) => new Count(check));
    const pauseMs = Math.min(longestRoundMs, ...this.#checks.map((check) => check.intervalMs));
    try {
      for (;;) {
        signal.throwIfAborted();
        await Promise.all(
          counts.map(async (count) => onAnswer(await count.ask(board.mgmtHost, this.#clock, signal))),
        );
        if (counts.every((count) => count.passed)) return report(counts);
        await this.#clock.sleep(pauseMs, signal);
      }
    } catch (error) {
      throw unhealthy(board, report(counts), signal, error);
    }
  }

  watch(
    board: Board,
    listener: (report: HealthReport) => void,
    onAnswer: (answer: CheckAnswer) => void = ignore,
  ): () => void {
    const end = new AbortController();
    const counts = this.#checks.map((check) => new Count(check));
    const { signal } = end;
    const repeat = async (count: Count): Promise<void> => {
      while (!signal.aborted) {
        // One question at a time; the interval is counted from the beginning of one to the beginning of the next.
        const began = this.#clock.monotonic();
        onAnswer(await count.ask(board.mgmtHost, this.#clock, signal));
        listener(report(counts));
        const restMs = count.check.intervalMs - (this.#clock.monotonic() - began);
        if (restMs > 0) await this.#clock.sleep(restMs, signal);
      }
    };
    for (const count of counts)
      repeat(count).catch((error: unknown) => {
        if (!signal.aborted) throw error;
      });
    return () => end.abort();
  }
}

/** A deadline that passed means that the board is not healthy; any other end of the wait is told as it is. */
function unhealthy(board: Board, last: HealthReport, signal: AbortSignal, error: unknown): unknown {
  const { reason } = signal as { readonly reason: unknown };
  if (!signal.aborted) return error;
  const deadline =
    reason instanceof TwinboardError
      ? reason.code === "board-unhealthy" || reason.code === "deadline-passed"
      : reason instanceof Error && reason.name === "TimeoutError";
  if (!deadline) return reason;
  const failing = last.checks.filter((check) => check.failures > 0);
  const told = failing.map((check) => `${check.name}: ${check.reason ?? "no reason"}`).join(", ");
  return new TwinboardError("board-unhealthy", {
    detail: `board ${board.name}: ${told === "" ? "no check was answered" : told}`,
    cause: reason,
  });
}
