/** Upgrades of real boards one after the other under steady load, and then as long a time without any. */
import { readFile, rm } from "node:fs/promises";
import { lastMoveOf } from "../demo/act.ts";
import { hosts } from "../demo/addresses.ts";
import { ownBundle } from "../demo/bundles.ts";
import type { BoardKind } from "../demo/images/rootfs.ts";
import { drainMs, type Lab, openLab } from "../demo/lab.ts";
import { type Load, startLoad } from "../demo/load/load.ts";
import { fullLoad, keptAliveClients, mostRepeated } from "../demo/load/plans.ts";
import { now, type Plan, type RequestRecord } from "../demo/load/request.ts";
import { cutWindow, type Span, type Window } from "../demo/load/window.ts";
import type { JournalRecord } from "../src/upgrade/record.ts";
import {
  type Bench,
  type BenchResult,
  type BenchRun,
  realBoards,
  realBoardsOption,
  wholeNumber,
} from "./bench.ts";
import { rangesPlot } from "./plot.ts";

interface Pace {
  readonly settings: { readonly probation: string; readonly quietMs?: number };
  readonly plans: readonly Plan[];
}

const allClients = fullLoad(hosts);

const paces: Readonly<Record<BoardKind, Pace>> = {
  // As short as is honest: as long as a download of the load, so that each upgrade sees its whole drain, and twenty-five health checks in a row.
  qemu: { settings: { probation: "5s" }, plans: allClients },
  // A container boots in a moment, and many upgrades are to be seen: without downloads, whose end a drain would wait for.
  container: {
    settings: { probation: "1s", quietMs: 500 },
    plans: allClients.filter(({ kind }) => kind !== "slow"),
  },
};
const settleMs = 2000;
const shownTroubles = 20;
/** Of containers: a hundred in ten minutes. Few of them, beside other work, promise nothing. */
const hundred = 100;
const promisedSeconds = 6;

export const bench: Bench = {
  name: "upgrades-in-a-row",
  summary: "upgrades of real boards one after the other under load: what fails, and what the daemon grows",
  options: {
    boards: realBoardsOption,
    count: { value: "N", meaning: "upgrades, 1 to 1000", default: "10" },
  },
  needsRoot: true,
  hasPlot: true,
  run: upgradesInARow,
};

interface OneUpgrade {
  readonly from: number;
  readonly movedAt: number | null;
  /** Until it was committed, its drain done and the old board dormant. */
  readonly seconds: number;
}

async function upgradesInARow({ options, signal, say }: BenchRun): Promise<BenchResult> {
  const count = wholeNumber(options, "count", 1, 1000);
  const kind = realBoards(options);
  const { settings, plans } = paces[kind];
  await using lab = await openLab(signal, { kind, ...settings });
  try {
    const bundles = await makeBundles(lab, count + 1, say, signal);
    const [first = "", ...others] = bundles;
    await upgrade(lab, first, signal);
    await using load = startLoad(plans, (command, args) => lab.namespaces.outside.enter(command, args));
    await load.settled(now() + settleMs, signal);
    const upgrades: OneUpgrade[] = [];
    const rssMiB: number[] = [];
    for (const [index, bundle] of others.entries()) {
      upgrades.push(await upgrade(lab, bundle, signal));
      rssMiB.push(await residentMiB(lab.device.pid));
      await rm(bundle);
      say(`upgrade ${index + 1} of ${count}: committed after ${upgrades.at(-1)?.seconds.toFixed(1)} s`);
    }
    const to = now() + settleMs;
    say("as long again, without an upgrade");
    const baseline = await measureBaseline(
      load,
      { from: to, to: to + to - (upgrades[0]?.from ?? to) },
      signal,
    );
    const result = resultOf(lab, load, upgrades, to, baseline, rssMiB);
    if (result.complaints.length > 0) say(`logs are kept in ${await lab.keepLogs()}`);
    return result;
  } catch (error) {
    if (!signal.aborted) say(`logs are kept in ${await lab.keepLogs()}`);
    throw error;
  }
}

/** All of them before the load: making them would take processor time from what is measured. */
async function makeBundles(
  lab: Lab,
  count: number,
  say: BenchRun["say"],
  signal: AbortSignal,
): Promise<string[]> {
  say(`building ${count} bundles, of versions 1.0.0 to ${count}.0.0`);
  const paths: string[] = [];
  for (let number = 1; number <= count; number += 1)
    paths.push(await ownBundle(`${number}.0.0`, lab.signing, lab.directory, signal, lab.kind));
  return paths;
}

/** Errors: it is not committed. */
async function upgrade(lab: Lab, bundle: string, signal: AbortSignal): Promise<OneUpgrade> {
  const records: JournalRecord[] = [];
  const from = now();
  const { outcome, error } = await lab.device.upgrade(bundle, (record) => records.push(record), signal);
  if (outcome !== "committed")
    throw new Error(
      `${new Date().toISOString()}: the upgrade to ${bundle} is ${outcome} after ` +
        `${((now() - from) / 1000).toFixed(1)} s: ${error?.message ?? "no reason given"}`,
    );
  return { from, movedAt: lastMoveOf(records), seconds: (now() - from) / 1000 };
}

async function measureBaseline(load: Load, span: Span, signal: AbortSignal): Promise<Window> {
  await load.settled(span.to, signal);
  return cutWindow(load.records, span);
}

/** proc(5), `VmRSS` of status, which is in kB. */
async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Math.round(Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 102.4) / 10;
}

function resultOf(
  { kind }: Lab,
  load: Load,
  upgrades: readonly OneUpgrade[],
  to: number,
  baseline: Window,
  rssMiB: readonly number[],
): BenchResult {
  // Each upgrade with what follows it until the next, because each has a drain of its own.
  const windows = upgrades.map(({ from, movedAt }, index) =>
    cutWindow(load.records, {
      from,
      to: upgrades[index + 1]?.from ?? to,
      ...(movedAt === null ? {} : { drainDeadline: movedAt + drainMs }),
    }),
  );
  const sum = (key: "requests" | "failed" | "resets" | "deadlineResets" | "repeated"): number =>
    windows.reduce((total, window) => total + window[key], 0);
  const figures = {
    upgrades: upgrades.length,
    requests: sum("requests"),
    failed: sum("failed"),
    resets: sum("resets"),
    deadlineResets: sum("deadlineResets"),
    repeated: sum("repeated"),
    longestGapMs: tenth(Math.max(...windows.map(({ longestGapMs }) => longestGapMs))),
    baselineLongestGapMs: tenth(baseline.longestGapMs),
    secondsPerUpgrade: tenth(upgrades.reduce((total, { seconds }) => total + seconds, 0) / upgrades.length),
    daemonRssMiB: [rssMiB[0] ?? 0, rssMiB.at(-1) ?? 0],
  };
  const rows = Object.entries(figures).map(([name, value]) => [name, [value].flat().join(" → ")]);
  const complaints = complaintsOf(figures, load, upgrades[0]?.from ?? to, to);
  if (kind === "container" && upgrades.length >= hundred && figures.secondsPerUpgrade > promisedSeconds)
    complaints.push(`an upgrade took ${figures.secondsPerUpgrade} s, not ${promisedSeconds}`);
  // As long windows, as far from each other, in the time without upgrades.
  const later = to - (upgrades[0]?.from ?? to);
  const undisturbed = upgrades.map(({ from }, index) =>
    cutWindow(load.records, { from: from + later, to: (upgrades[index + 1]?.from ?? to) + later }),
  );
  const plot = rangesPlot({
    title: "Longest gap between two answers, in each upgrade and in as long a time without",
    unit: "ms",
    rows: [
      { label: "upgrades", values: gaps(windows) },
      { label: "without", values: gaps(undisturbed) },
    ],
  });
  return { figures, table: [["figure", "value"], ...rows], complaints, plot };
}

const gaps = (windows: readonly Window[]): number[] => windows.map(({ longestGapMs }) => longestGapMs);

function complaintsOf(
  {
    requests,
    failed,
    resets,
    deadlineResets,
    repeated,
    upgrades,
  }: Record<"requests" | "failed" | "resets" | "deadlineResets" | "repeated" | "upgrades", number>,
  load: Load,
  from: number,
  to: number,
): string[] {
  if (requests === 0) return ["no requests were made"];
  const records = load.records.filter(({ scheduledAt }) => scheduledAt >= from && scheduledAt < to);
  // Each upgrade's drain closes the connections of all of them.
  const closed = upgrades * keptAliveClients;
  const lost = failed + resets + deadlineResets;
  return [
    ...(lost > 0 ? [`${failed} requests failed, ${resets + deadlineResets} were reset`] : []),
    ...troublesOf(records),
    ...(repeated > mostRepeated(closed)
      ? [`${repeated} requests had to be sent twice, and ${closed} connections were closed`]
      : []),
  ];
}

function troublesOf(records: readonly RequestRecord[]): string[] {
  return records
    .filter(({ outcome }) => outcome !== "ok")
    .slice(0, shownTroubles)
    .map(({ kind, outcome, scheduledAt, endedAt, detail }) => {
      const at = new Date(scheduledAt).toISOString();
      return `${outcome}: ${kind}, began ${at}, ended ${(endedAt - scheduledAt).toFixed(0)} ms later: ${detail}`;
    });
}

function tenth(value: number): number {
  return Math.round(value * 10) / 10;
}
