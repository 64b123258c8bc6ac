/** Both boards share a core that the one in service wants for itself: whether an upgrade ends, and how soon. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { ownBundle } from "../demo/bundles.ts";
import { type Lab, openLab } from "../demo/lab.ts";
import { now } from "../demo/load/request.ts";
import type { BoardName } from "../src/board/board.ts";
import { ContainerGroup } from "../src/board/container/container-group.ts";
import { joinGroup, makeCpuGroup } from "../src/system/cgroup.ts";
import { systemNames } from "../src/system/names.ts";
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

const probation = "1s";
const quietMs = 500;
const core = 0;
/** Of its boot on an idle core. */
const promisedFactor = 2;

export const bench: Bench = {
  name: "saturated-core",
  summary: "the board in service wants the one core for itself: how soon an upgrade boots all the same",
  options: {
    boards: realBoardsOption,
    count: {
      value: "N",
      meaning: "upgrades on an idle core, and as many on a saturated one, 1 to 100",
      default: "5",
    },
  },
  needsRoot: true,
  hasPlot: true,
  run: saturatedCore,
};

interface Timed {
  /** From the order to boot until the board was ready and healthy. */
  readonly bootMs: number;
  readonly wholeMs: number;
  /** Processor time of the board and its helpers in that boot: an equal share of the core takes twice as long for it, and no less. */
  readonly processorMs: number;
  /** Percent of a full share; `null`: it was not raised. */
  readonly raisedTo: number | null;
}

async function saturatedCore({ options, signal, say }: BenchRun): Promise<BenchResult> {
  const kind = realBoards(options);
  const count = wholeNumber(options, "count", 1, 100);
  await using lab = await openLab(signal, { kind, probation, quietMs, core });
  let version = 1;
  const upgrade = async (): Promise<Timed> => {
    const bundle = await ownBundle(`${version}.0.0`, lab.signing, lab.directory, signal, kind);
    version += 1;
    return await timed(lab, bundle, signal);
  };
  await upgrade();
  const [idle, saturated]: [Timed[], Timed[]] = [[], []];
  while (saturated.length < count) {
    idle.push(await upgrade());
    await using _ = await saturate(lab, signal);
    saturated.push(await upgrade());
    const [one, other] = [idle.at(-1), saturated.at(-1)];
    say(
      `upgrade ${saturated.length} of ${count}: booted within ${whole(one?.bootMs)} ms, on a saturated core within ` +
        `${whole(other?.bootMs)} ms, raised to ${other?.raisedTo ?? 0} %`,
    );
  }
  return resultOf(idle, saturated);
}

/** A program that never rests, with the full weight of the board in service: as if it were the board's own. */
async function saturate(lab: Lab, signal: AbortSignal): Promise<AsyncDisposable> {
  const { holder } = await lab.device.status(signal);
  if (holder === null) throw new Error("no board is in service");
  const { path, reason } = await makeCpuGroup(groupOf(lab, holder));
  if (path === undefined) throw new Error(`no control group for processor shares: ${reason}`);
  const child = spawn("taskset", ["-c", String(core), "sh", "-c", "while :; do :; done"], {
    stdio: "ignore",
  });
  const ended = once(child, "exit");
  if (child.pid !== undefined) await joinGroup(path, child.pid);
  return {
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

function groupOf(lab: Lab, board: BoardName): string {
  return `twinboard-${systemNames(lab.system).system}-${board}`;
}

/** Milliseconds in this boot; of a container with the helpers that start it. */
async function processorTime(lab: Lab, board: BoardName, signal: AbortSignal): Promise<number> {
  const load = lab.kind === "container" ? await new ContainerGroup(groupOf(lab, board)).load() : undefined;
  const cpuNs = load?.cpuNs ?? (await lab.device.status(signal)).boards[board].usage?.cpuNs;
  if (cpuNs === undefined) throw new Error(`nobody counts the processor time of board ${board}`);
  return cpuNs / 1e6;
}

/** Errors: it is not committed. */
async function timed(lab: Lab, bundle: string, signal: AbortSignal): Promise<Timed> {
  const records: JournalRecord[] = [];
  const from = now();
  let processorMs: Promise<number> | undefined;
  const noteRecord = (record: JournalRecord): void => {
    records.push(record);
    const to = records[0]?.data["to"];
    if (record.event === "phase-done" && record.phase === "verify" && (to === "a" || to === "b"))
      processorMs = processorTime(lab, to, signal);
    // What goes wrong is told when it is asked for, at the upgrade's end.
    processorMs?.catch(() => undefined);
  };
  const { outcome, error } = await lab.device.upgrade(bundle, noteRecord, signal);
  const wholeMs = now() - from;
  if (outcome !== "committed") throw new Error(`the upgrade is ${outcome}: ${error?.message ?? ""}`);
  const at = (event: string, phase: string): number =>
    records.find((record) => record.event === event && record.phase === phase)?.at ?? Number.NaN;
  const raised = records.find(({ data }) => typeof data["raisedToPercent"] === "number");
  const bootMs = at("phase-done", "verify") - at("phase-began", "boot");
  if (!(bootMs > 0) || processorMs === undefined)
    throw new Error("the journal does not tell when the board booted");
  return {
    bootMs,
    wholeMs,
    processorMs: await processorMs,
    raisedTo: (raised?.data["raisedToPercent"] as number | undefined) ?? null,
  };
}

function resultOf(idle: readonly Timed[], saturated: readonly Timed[]): BenchResult {
  const of = (found: readonly Timed[], key: "bootMs" | "wholeMs" | "processorMs"): number =>
    Math.round(median(found.map((one) => one[key])));
  const figures = {
    upgrades: saturated.length,
    idleBootMs: of(idle, "bootMs"),
    idleProcessorMs: of(idle, "processorMs"),
    saturatedBootMs: of(saturated, "bootMs"),
    factor: Math.round((100 * of(saturated, "bootMs")) / of(idle, "bootMs")) / 100,
    idleUpgradeMs: of(idle, "wholeMs"),
    saturatedUpgradeMs: of(saturated, "wholeMs"),
    raisedTo: saturated.map(({ raisedTo }) => raisedTo ?? 0),
  };
  return {
    figures,
    table: [
      ["figure", "value"],
      ...Object.entries(figures).map(([name, value]) => [name, [value].flat().join(" ")]),
    ],
    complaints:
      figures.factor > promisedFactor
        ? [`a boot on a saturated core took ${figures.factor} times as long, not ${promisedFactor}`]
        : [],
    plot: rangesPlot({
      title: "Boots of the next version, on an idle core and on a saturated one",
      unit: "ms",
      rows: [
        { label: "idle", values: idle.map(({ bootMs }) => bootMs) },
        { label: "saturated", values: saturated.map(({ bootMs }) => bootMs) },
      ],
    }),
  };
}

function median(times: readonly number[]): number {
  return times.toSorted((one, other) => one - other)[Math.floor((times.length - 1) / 2)] ?? 0;
}

function whole(ms: number | undefined): string {
  return ms?.toFixed(0) ?? "";
}
