/**
 * What the answers to health checks were, small enough for one record of the journal: counts, and a series of times that keeps the slowest
 * of each moment however long it becomes.
 */
import type { Clock } from "../system/clock.ts";
import type { CheckAnswer } from "./health.ts";

/** Points that one check's series has at most. */
export const maxSeriesPoints = 300;
/** The same over all checks of a record. */
const maxPointsOfAll = 2400;

export interface AnswerSeries {
  readonly name: string;
  readonly asked: number;
  readonly failed: number;
  /** Of those that passed; `null` if none did. */
  readonly slowestMs: number | null;
  /** Why the last failed that did. */
  readonly reason: string | null;
  /** Milliseconds since 1970; `points` and `failedAfterMs` count from here. */
  readonly since: number;
  /** Answers that passed: when they were asked for, and how long they took. */
  readonly points: readonly (readonly [afterMs: number, ms: number])[];
  readonly failedAfterMs: readonly number[];
}

/** Halves a row that has become too long: of two neighbours the one that `prefer` names stays. */
function halved<T>(row: readonly T[], prefer: (one: T, other: T) => T): T[] {
  const half: T[] = [];
  for (let index = 0; index < row.length; index += 2) {
    const one = row[index] as T;
    half.push(index + 1 < row.length ? prefer(one, row[index + 1] as T) : one);
  }
  return half;
}

/** At most so many points; of neighbours that share a place the slowest stays. */
export function thinned<Point extends readonly [at: number, ms: number]>(
  points: readonly Point[],
  most: number,
): readonly Point[] {
  let row = points;
  while (row.length > most) row = halved(row, (one, other) => (other[1] > one[1] ? other : one));
  return row;
}

export function thinnedTimes(times: readonly number[], most: number): readonly number[] {
  let row = times;
  while (row.length > most) row = halved(row, (one) => one);
  return row;
}

interface Tally {
  asked: number;
  failed: number;
  slowestMs: number | null;
  reason: string | null;
  points: [afterMs: number, ms: number][];
  /** Answers that the newest point stands for, and how many each point stands for. */
  inPoint: number;
  perPoint: number;
  failedAfterMs: number[];
}

export class AnswerTimes {
  readonly #clock: Clock;
  readonly #since: number;
  readonly #tallies = new Map<string, Tally>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#since = clock.now();
  }

  readonly add = ({ check, ms, reason }: CheckAnswer): void => {
    let tally = this.#tallies.get(check);
    if (tally === undefined) {
      tally = {
        asked: 0,
        failed: 0,
        slowestMs: null,
        reason: null,
        points: [],
        inPoint: 0,
        perPoint: 1,
        failedAfterMs: [],
      };
      this.#tallies.set(check, tally);
    }
    const afterMs = Math.max(0, Math.round(this.#clock.now() - ms - this.#since));
    tally.asked += 1;
    if (reason === undefined) addPoint(tally, afterMs, Math.round(ms * 100) / 100);
    else {
      tally.failed += 1;
      tally.reason = reason;
      tally.failedAfterMs.push(afterMs);
      if (tally.failedAfterMs.length > maxSeriesPoints)
        tally.failedAfterMs = halved(tally.failedAfterMs, (one) => one);
    }
  };

  /** What was answered so far, by check. */
  series(): AnswerSeries[] {
    const most = Math.max(2, Math.min(maxSeriesPoints, Math.floor(maxPointsOfAll / this.#tallies.size)));
    return [...this.#tallies].map(([name, { asked, failed, slowestMs, reason, points, failedAfterMs }]) => ({
      name,
      asked,
      failed,
      slowestMs,
      reason,
      since: this.#since,
      points: thinned(points, most),
      failedAfterMs: thinnedTimes(failedAfterMs, most),
    }));
  }
}

function addPoint(tally: Tally, afterMs: number, ms: number): void {
  tally.slowestMs = Math.max(tally.slowestMs ?? 0, ms);
  const newest = tally.points.at(-1);
  if (newest !== undefined && tally.inPoint < tally.perPoint) {
    tally.inPoint += 1;
    if (ms > newest[1]) tally.points[tally.points.length - 1] = [afterMs, ms];
    return;
  }
  if (tally.points.length >= maxSeriesPoints) {
    tally.points = halved(tally.points, (one, other) => (other[1] > one[1] ? other : one));
    tally.perPoint *= 2;
  }
  tally.points.push([afterMs, ms]);
  tally.inPoint = 1;
}
