/** What the clients saw in a span of time, from the records of their requests. */
import { createHistogram } from "node:perf_hooks";
import type { RequestRecord } from "./request.ts";

/** Milliseconds since 1970. */
export interface Span {
  readonly from: number;
  readonly to: number;
  /** When a drain ends what is left: resets from here on are `deadlineResets`. */
  readonly drainDeadline?: number;
}

export interface Window {
  /** Requests whose time lay in the span, of every kind. */
  readonly requests: number;
  readonly failed: number;
  /** Before the drain's deadline. */
  readonly resets: number;
  readonly deadlineResets: number;
  /** Good answers to requests that were sent once more, because their kept connection was closed in that instant. */
  readonly repeated: number;
  /** Quick requests alone: the longest time between two good answers, and the latency, counted from when each was to begin. */
  readonly longestGapMs: number;
  readonly p99Ms: number;
  /** Connections that these requests made. */
  readonly connections: number;
  /** Version → how many good answers. */
  readonly versions: Readonly<Record<string, number>>;
}

export function cutWindow(records: readonly RequestRecord[], span: Span): Window {
  const { drainDeadline = Number.POSITIVE_INFINITY } = span;
  const inside = records.filter(({ scheduledAt }) => scheduledAt >= span.from && scheduledAt < span.to);
  const good = inside.filter(({ outcome }) => outcome === "ok");
  const resets = inside.filter(({ outcome }) => outcome === "reset");
  const early = resets.filter(({ endedAt }) => endedAt < drainDeadline).length;
  const versions: Record<string, number> = {};
  for (const { version } of good) versions[version ?? "none"] = (versions[version ?? "none"] ?? 0) + 1;
  return {
    requests: inside.length,
    failed: inside.filter(({ outcome }) => outcome === "failed").length,
    resets: early,
    deadlineResets: resets.length - early,
    repeated: good.filter(({ repeated }) => repeated === true).length,
    connections: inside.filter(({ reused }) => reused !== true).length,
    longestGapMs: longestGap(records, span),
    p99Ms: percentile99(good.filter(({ kind }) => kind === "quick")),
    versions,
  };
}

/** Between two good answers that follow each other, one of them in the span; to the span's own ends where there is no other. */
function longestGap(records: readonly RequestRecord[], { from, to }: Span): number {
  const answers = records
    .filter(({ kind, outcome }) => kind === "quick" && outcome === "ok")
    .map(({ endedAt }) => endedAt)
    .toSorted((one, other) => one - other);
  const before = answers.findLast((at) => at < from) ?? from;
  const after = answers.find((at) => at >= to) ?? to;
  const times = [before, ...answers.filter((at) => at >= from && at < to), after];
  return Math.max(...times.map((at, index) => at - (times[index - 1] ?? at)));
}

function percentile99(records: readonly RequestRecord[]): number {
  const microseconds = createHistogram();
  for (const { scheduledAt, endedAt } of records) {
    microseconds.record(Math.max(1, Math.round((endedAt - scheduledAt) * 1000)));
  }
  return records.length === 0 ? 0 : microseconds.percentile(99) / 1000;
}
