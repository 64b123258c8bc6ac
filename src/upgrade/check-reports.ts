/** What a report tells of the health checks: the notes of each phase, put together by check. */
import type { BoardName } from "../board/board.ts";
import { type AnswerSeries, maxSeriesPoints, thinned, thinnedTimes } from "../health/answer-times.ts";
import type { NotedFacts } from "./facts.ts";
import type { JournalRecord, PhaseName } from "./record.ts";

export interface CheckReport {
  readonly name: string;
  /** The phase in which it was asked, and the board. */
  readonly phase: PhaseName;
  readonly board: BoardName;
  readonly asked: number;
  readonly failed: number;
  /** Of those that passed; `null` if none did. */
  readonly slowestMs: number | null;
  /** Why the last failed that did. */
  readonly reason: string | null;
  /** Answers that passed, at most 300: when they were asked for (ms since 1970), and how long they took. Of neighbours the slowest. */
  readonly points: readonly (readonly [at: number, ms: number])[];
  /** When those were asked for that failed, at most 300. */
  readonly failedAt: readonly number[];
}

/** Checks in the order in which they were first asked. A phase that ran twice, or under two daemons, is one row a check. */
export function checksOf(records: readonly JournalRecord[], board: BoardName): CheckReport[] {
  const reports = new Map<string, CheckReport>();
  for (const { phase, data, event } of records) {
    const { checks } = data as Partial<NotedFacts>;
    if (event !== "noted" || phase === null || !checks) continue;
    for (const series of checks) {
      const key = `${phase} ${series.name}`;
      const one = reportOfSeries(series, phase, board);
      const known = reports.get(key);
      reports.set(key, known === undefined ? one : joined(known, one));
    }
  }
  return [...reports.values()];
}

function reportOfSeries(series: AnswerSeries, phase: PhaseName, board: BoardName): CheckReport {
  const { name, asked, failed, slowestMs, reason, since, points, failedAfterMs } = series;
  return {
    name,
    phase,
    board,
    asked,
    failed,
    slowestMs,
    reason,
    points: points.map(([afterMs, ms]) => [since + afterMs, ms] as const),
    failedAt: failedAfterMs.map((afterMs) => since + afterMs),
  };
}

function joined(one: CheckReport, other: CheckReport): CheckReport {
  const slowest = Math.max(one.slowestMs ?? -1, other.slowestMs ?? -1);
  return {
    ...one,
    asked: one.asked + other.asked,
    failed: one.failed + other.failed,
    slowestMs: slowest < 0 ? null : slowest,
    reason: other.reason ?? one.reason,
    points: thinned([...one.points, ...other.points], maxSeriesPoints),
    failedAt: thinnedTimes([...one.failedAt, ...other.failedAt], maxSeriesPoints),
  };
}
