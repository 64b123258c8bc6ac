/** What the demo ends with: a table and a verdict for people, and the same as JSON. */
import type { Outcome } from "../src/upgrade/record.ts";
import type { StoryResult } from "../src/upgrade/status.ts";
import type { DormantCost } from "./dormant.ts";
import type { Window } from "./load/window.ts";

export interface UpgradeReport {
  readonly from: string | null;
  readonly to: string | null;
  readonly outcome: Outcome;
  /** Phase → ms. */
  readonly phases: StoryResult["phases"];
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

/** The content of `--json FILE`. */
export interface DemoReport {
  readonly upgrades: readonly UpgradeReport[];
  readonly dormant: DormantCost;
}

export function upgradeReport(result: StoryResult, window: Window, baseline: Window): UpgradeReport {
  const { from, to, outcome, phases } = result;
  return {
    from,
    to,
    outcome,
    phases: rounded(phases),
    requests: window.requests,
    failed: window.failed,
    resets: window.resets,
    deadlineResets: window.deadlineResets,
    longestGapMs: tenth(window.longestGapMs),
    baselineLongestGapMs: tenth(baseline.longestGapMs),
    p99Ms: tenth(window.p99Ms),
    baselineP99Ms: tenth(baseline.p99Ms),
  };
}

/** What is not as it was intended; nothing if all is well. `intended` are the outcomes, in order. */
export function complaints({ upgrades, dormant }: DemoReport, intended: readonly Outcome[]): string[] {
  const found: string[] = [];
  for (const [index, outcome] of intended.entries()) {
    const upgrade = upgrades[index];
    const name = upgrade === undefined ? `upgrade ${index + 1}` : `${upgrade.from} → ${upgrade.to}`;
    if (upgrade?.outcome !== outcome)
      found.push(`${name} was to be ${outcome}, and is ${upgrade?.outcome ?? "missing"}`);
    if (upgrade === undefined) continue;
    if (upgrade.requests === 0) found.push(`${name}: no requests were made`);
    if (upgrade.failed > 0) found.push(`${name}: ${upgrade.failed} requests failed`);
    const resets = upgrade.resets + upgrade.deadlineResets;
    if (resets > 0) found.push(`${name}: ${resets} requests were reset`);
  }
  if (dormant.cpuNs !== 0) found.push(`the dormant board used ${dormant.cpuNs} ns of processor time`);
  return found;
}

function against(ms: number, baselineMs: number): string {
  return `${ms.toFixed(1)} ms (without: ${baselineMs.toFixed(1)})`;
}

/** Rows of cells for people; the first is the heading. */
export function tableRows(upgrades: readonly UpgradeReport[]): string[][] {
  const heading = ["upgrade", "outcome", "requests", "failed", "resets", "longest gap", "p99"];
  const rows = upgrades.map((upgrade) => [
    `${upgrade.from} → ${upgrade.to}`,
    upgrade.outcome,
    String(upgrade.requests),
    String(upgrade.failed),
    upgrade.deadlineResets === 0
      ? String(upgrade.resets)
      : `${upgrade.resets} + ${upgrade.deadlineResets} at the deadline`,
    against(upgrade.longestGapMs, upgrade.baselineLongestGapMs),
    against(upgrade.p99Ms, upgrade.baselineP99Ms),
  ]);
  return [heading, ...rows];
}

/** Rows of cells: each phase's milliseconds; a phase that was not reached is a dash. */
export function phaseRows(
  upgrades: readonly UpgradeReport[],
  names: readonly (keyof StoryResult["phases"])[],
): string[][] {
  const rows = upgrades.map((upgrade) => [
    `${upgrade.from} → ${upgrade.to}`,
    ...names.map((name) => String(upgrade.phases[name] ?? "–")),
  ]);
  return [["phases, ms", ...names], ...rows];
}

function rounded(phases: StoryResult["phases"]): StoryResult["phases"] {
  return Object.fromEntries(Object.entries(phases).map(([name, ms]) => [name, tenth(ms)]));
}

function tenth(value: number): number {
  return Math.round(value * 10) / 10;
}
