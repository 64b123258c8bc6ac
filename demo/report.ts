/** The content of `npm run demo -- --json FILE`. */
import type { Outcome } from "../src/upgrade/record.ts";
import type { StoryResult } from "../src/upgrade/status.ts";
import type { Act, Seen } from "./act.ts";
import { isKeptAlive, keptAliveClients } from "./load/plans.ts";
import type { RequestOutcome, RequestRecord } from "./load/request.ts";
import type { DormantCost } from "./scenes/dormant.ts";
import type { Traditional } from "./scenes/traditional.ts";

/** What the clients saw of one act, all kinds together. */
interface SeenReport {
  readonly requests: number;
  readonly failed: number;
  /** Before the drain's deadline, and from it on. */
  readonly resets: number;
  readonly deadlineResets: number;
  readonly longestGapMs: number;
  readonly baselineLongestGapMs: number;
  readonly p99Ms: number;
  readonly baselineP99Ms: number;
}

export interface UpgradeReport extends SeenReport {
  readonly from: string | null;
  readonly to: string | null;
  readonly outcome: Outcome;
  /** Phase → ms. */
  readonly phases: StoryResult["phases"];
}

export interface RefusedReport extends UpgradeReport {
  /** Version → good answers: the service never left the old one. */
  readonly answeredBy: Readonly<Record<string, number>>;
  readonly error: string | null;
}

export interface FailoverReport extends UpgradeReport {
  /** From the kill to the takeover, and to the first good answer to a client that began after it. */
  readonly takeoverMs: number | null;
  readonly firstAnswerMs: number | null;
  /** Requests lost with the board, those included that had begun before the kill, and those that were answered when sent again. */
  readonly lost: number;
}

/** From the load's beginning to the end of the last act, between the acts too; without what was under way from a board's kill to the failover's end. */
export interface LoadReport {
  readonly requests: number;
  readonly failed: number;
  readonly resets: number;
  readonly ipv4: number;
  readonly ipv6: number;
}

/** Of the same time. */
export interface KeptAliveReport {
  readonly clients: number;
  readonly requests: number;
  readonly failed: number;
  readonly resets: number;
  /** Answered, but sent twice, because their connection was closed in the instant in which they were sent. */
  readonly repeated: number;
  /** Connections that these clients made. */
  readonly connections: number;
  /** Connections of all clients that a drain closed between two requests, and those that it cut at its deadline. */
  readonly closedEarly: number;
  readonly cut: number;
}

export interface TraditionalReport {
  /** Between the last good answer before the stop and the first after it, as the clients saw it. */
  readonly downMs: number;
  readonly requests: number;
  /** Not answered, or reset. */
  readonly failed: number;
  readonly stopMs: number;
  readonly writeMs: number;
  readonly bootMs: number;
}

export interface DemoReport {
  /** The upgrade that is committed, and the one that is taken back. */
  readonly upgrades: readonly UpgradeReport[];
  readonly rollback: UpgradeReport;
  readonly failover: FailoverReport;
  /** After the failover the other board is made ready again. */
  readonly standby: UpgradeReport;
  readonly refused: RefusedReport;
  readonly dormant: DormantCost;
  readonly load: LoadReport;
  readonly keptAlive: KeptAliveReport;
  readonly traditional: TraditionalReport;
}

/** A board was killed; times are from then on. */
export interface Failover extends Act {
  /** To the takeover's transaction, by the journal. */
  readonly takeoverMs: number | null;
  /** To the first good answer to a client that began after it. */
  readonly firstAnswerMs: number | null;
}

/** What was played. */
export interface Acts {
  readonly baseline: Seen;
  readonly committed: Act;
  readonly rollback: Act;
  readonly failover: Failover;
  readonly standby: Act;
  readonly takenBack: Act;
  readonly refused: Act;
  readonly dormant: DormantCost;
  readonly traditional: Traditional;
}

/** @param records of the whole load. */
export function demoReport(acts: Acts, records: readonly RequestRecord[]): DemoReport {
  const { baseline, committed, rollback, failover, standby, takenBack, refused, dormant, traditional } = acts;
  const upgrades = [committed, takenBack].map((one) => upgradeReport(one, baseline));
  const { span } = failover;
  const underWay = (record: RequestRecord): boolean =>
    record.scheduledAt < span.to && record.endedAt >= span.from;
  const unharmed = records.filter((record) => record.scheduledAt < refused.span.to && !underWay(record));
  return {
    upgrades,
    rollback: upgradeReport(rollback, baseline),
    failover: failoverReport(failover, baseline, records.filter(underWay)),
    standby: upgradeReport(standby, baseline),
    refused: {
      ...upgradeReport(refused, baseline),
      answeredBy: refused.seen.all.versions,
      error: refused.result.error?.code ?? null,
    },
    dormant,
    load: loadReport(unharmed),
    keptAlive: keptAliveReport(unharmed, [committed, rollback, takenBack]),
    traditional: traditionalReport(traditional),
  };
}

function upgradeReport({ result, seen }: Act, baseline: Seen): UpgradeReport {
  const { from, to, outcome, phases } = result;
  const { requests, failed, resets, deadlineResets, longestGapMs, p99Ms } = seen.all;
  return {
    from,
    to,
    outcome,
    phases: Object.fromEntries(Object.entries(phases).map(([name, ms]) => [name, tenth(ms)])),
    requests,
    failed,
    resets,
    deadlineResets,
    longestGapMs: tenth(longestGapMs),
    baselineLongestGapMs: tenth(baseline.all.longestGapMs),
    p99Ms: tenth(p99Ms),
    baselineP99Ms: tenth(baseline.all.p99Ms),
  };
}

/** @param underWay requests that had begun when the board was killed, or began after it. */
function failoverReport(
  failover: Failover,
  baseline: Seen,
  underWay: readonly RequestRecord[],
): FailoverReport {
  const { takeoverMs, firstAnswerMs } = failover;
  return {
    ...upgradeReport(failover, baseline),
    takeoverMs: takeoverMs === null ? null : tenth(takeoverMs),
    firstAnswerMs: firstAnswerMs === null ? null : tenth(firstAnswerMs),
    lost: underWay.filter(({ outcome, repeated }) => outcome !== "ok" || repeated === true).length,
  };
}

function loadReport(records: readonly RequestRecord[]): LoadReport {
  const ipv6 = records.filter((record) => record.ipv6 === true).length;
  return { ...outcomes(records), ipv4: records.length - ipv6, ipv6 };
}

function keptAliveReport(records: readonly RequestRecord[], drained: readonly Act[]): KeptAliveReport {
  const mine = records.filter(isKeptAlive);
  const sum = (of: "closedEarly" | "cut"): number =>
    drained.reduce((total, { result }) => total + (result.drain?.[of] ?? 0), 0);
  return {
    clients: keptAliveClients,
    ...outcomes(mine),
    repeated: mine.filter(({ outcome, repeated }) => outcome === "ok" && repeated === true).length,
    connections: mine.filter(({ reused }) => reused !== true).length,
    closedEarly: sum("closedEarly"),
    cut: sum("cut"),
  };
}

function outcomes(records: readonly RequestRecord[]): Pick<LoadReport, "requests" | "failed" | "resets"> {
  const count = (wanted: RequestOutcome): number =>
    records.filter(({ outcome }) => outcome === wanted).length;
  return { requests: records.length, failed: count("failed"), resets: count("reset") };
}

function traditionalReport({ seen, times }: Traditional): TraditionalReport {
  const { requests, failed, resets, deadlineResets, longestGapMs } = seen.all;
  return {
    downMs: tenth(longestGapMs),
    requests,
    failed: failed + resets + deadlineResets,
    stopMs: times.write - times.stop,
    writeMs: times.boot - times.write,
    bootMs: times.ready - times.boot,
  };
}

function tenth(value: number): number {
  return Math.round(value * 10) / 10;
}
