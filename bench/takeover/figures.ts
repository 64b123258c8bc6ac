/** The figures that all benches of takeovers tell, with the same names. */
import type { BenchResult } from "../bench.ts";
import type { TakeoversDone } from "./take-over.ts";

/** What traffic said; `null`: it does not count such a thing. */
export interface TrafficFigures {
  readonly sent: number | null;
  readonly failed: number | null;
  readonly lost: number | null;
  readonly doubled: number | null;
  readonly reordered: number | null;
  /** In windows around the takeovers, and in equally many, equally long ones without. */
  readonly longestGapMs: number | null;
  readonly baselineLongestGapMs: number | null;
}

export const noTraffic: TrafficFigures = {
  sent: null,
  failed: null,
  lost: null,
  doubled: null,
  reordered: null,
  longestGapMs: null,
  baselineLongestGapMs: null,
};

/** DESIGN: the commit as the daemon sees it, and in the kernel. */
const promised = { commitP50Ms: 1, commitP99Ms: 5, commitKernelP50Ms: 0.2 } as const;

/** @param more figures of one bench, after those of all. */
export function takeoverResult(
  name: string,
  takeovers: TakeoversDone,
  traffic: TrafficFigures,
  more: Readonly<Record<string, unknown>>,
  complaints: readonly string[],
): BenchResult {
  const commit = takeovers.done.map(({ ms }) => ms);
  const kernel = takeovers.kernelMs;
  const times = {
    commitP50Ms: ranked(commit, 0.5),
    commitP99Ms: ranked(commit, 0.99),
    commitLongestMs: Math.max(...commit),
    commitLongestTakeover: commit.indexOf(Math.max(...commit)) + 1,
    commitKernelP50Ms: kernel === null ? null : ranked(kernel, 0.5),
    commitKernelP99Ms: kernel === null ? null : ranked(kernel, 0.99),
  };
  const figures: Record<string, unknown> = {
    name,
    takeovers: takeovers.done.length,
    ...traffic,
    ...times,
    ...more,
  };
  for (const [key, value] of Object.entries(figures))
    if (typeof value === "number" && key.endsWith("Ms")) figures[key] = Math.round(value * 1000) / 1000;
  const late = Object.entries(promised).flatMap(([key, limit]) => {
    const is = times[key as keyof typeof promised];
    return is === null || is <= limit ? [] : [`${key} is ${is.toFixed(3)}, more than ${limit}`];
  });
  return {
    figures,
    table: [["figure", "value"], ...Object.entries(figures).map(([key, value]) => [key, shown(value)])],
    complaints: [...complaints, ...late],
  };
}

/** The nearest rank: of 40 values the 99th percentile is the greatest. */
export function ranked(values: readonly number[], part: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? 0;
}

/** A complaint for each of these that is not 0. */
export function notZero(figures: Readonly<Record<string, number | null>>): string[] {
  return Object.entries(figures).flatMap(([key, value]) =>
    value === null || value === 0 ? [] : [`${key}: ${value}, not 0`],
  );
}

/** A complaint if a gap at takeovers is longer than elsewhere by more than `limitMs`. */
export function longerThan(
  { longestGapMs, baselineLongestGapMs }: Pick<TrafficFigures, "longestGapMs" | "baselineLongestGapMs">,
  limitMs: number,
): string[] {
  const more = (longestGapMs ?? 0) - (baselineLongestGapMs ?? 0);
  if (more <= limitMs) return [];
  return [
    `the longest gap at a takeover is ${more.toFixed(1)} ms longer than elsewhere, more than ${limitMs}`,
  ];
}

function shown(value: unknown): string {
  if (value === null) return "–";
  return typeof value === "string" ? value : JSON.stringify(value);
}
