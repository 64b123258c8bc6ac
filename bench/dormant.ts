/** A board sleeps in each depth of dormancy: what it keeps of the host, and how soon it serves again. */
import { setTimeout as sleep } from "node:timers/promises";
import { UsageError } from "../demo/foreground.ts";
import type { BoardUsage } from "../src/board/board.ts";
import { type DormancyDepth, dormancyDepths } from "../src/board/depth.ts";
import { MachinesLab } from "../test/fixtures/machines/lab.ts";
import {
  type Bench,
  type BenchResult,
  type BenchRun,
  realBoards,
  realBoardsOption,
  wholeNumber,
} from "./bench.ts";
import { rangesPlot } from "./plot.ts";

const warmUpMs = 2000;
/** Threads of QEMU's own that have nothing to do end within ten seconds, and what they used is gone from the sum with them. */
const restMs = 11_000;
const mebi = 1024 * 1024;

export const bench: Bench = {
  name: "dormant",
  summary: "a board sleeps in each depth of dormancy: memory, processor time, and how soon it serves again",
  options: {
    boards: realBoardsOption,
    depth: { value: "DEPTH", meaning: "warm, lean or off; all of them, one after the other", default: "all" },
    seconds: { value: "N", meaning: "how long it sleeps in each depth, 1 to 3600", default: "60" },
  },
  needsRoot: true,
  hasPlot: true,
  run: dormant,
};

interface Slept {
  readonly depth: DormancyDepth;
  /** Bytes, of a board that runs, and of the same one asleep. */
  readonly awakeBytes: number;
  readonly asleepBytes: number;
  /** Nanoseconds of processor time in all of its sleep. */
  readonly cpuNs: number;
  /** From the order until a client had an answer. */
  readonly servesMs: number;
}

async function dormant({ options, signal, say }: BenchRun): Promise<BenchResult> {
  const kind = realBoards(options);
  const ms = wholeNumber(options, "seconds", 1, 3600) * 1000;
  const found: Slept[] = [];
  for (const depth of depthsOf(options)) {
    await using lab = await MachinesLab.open(signal, say, kind, depth);
    await lab.wake("b", signal);
    await sleep(warmUpMs, undefined, { signal });
    const awake = await lab.usage("b");
    await lab.wake("a", signal);
    await lab.layToSleep("b", signal);
    if (kind === "qemu" && depth !== "off") await sleep(restMs, undefined, { signal });
    const before = await lab.usage("b");
    await sleep(ms, undefined, { signal });
    const after = await lab.usage("b");
    if (awake === null || (depth === "off") !== (after === null))
      throw new Error(`${depth}: the board ${after === null ? "is gone" : "runs"} where it should sleep`);
    const { resumeMs, takeoverMs, answerMs } = await lab.wake("b", signal);
    const slept = {
      depth,
      awakeBytes: awake.residentBytes,
      asleepBytes: after?.residentBytes ?? 0,
      cpuNs: spent(before, after),
      servesMs: resumeMs + takeoverMs + answerMs,
    };
    found.push(slept);
    say(`${depth}: slept for ${ms / 1000} s, ${slept.cpuNs} ns of processor time`);
  }
  return resultOf(found);
}

/** Errors: `UsageError`. */
function depthsOf({ depth }: BenchRun["options"]): readonly DormancyDepth[] {
  if (depth === "all") return dormancyDepths;
  const found = dormancyDepths.find((one) => one === depth);
  if (found === undefined)
    throw new UsageError(`--depth is ${dormancyDepths.join(", ")} or all, not ${JSON.stringify(depth)}`);
  return [found];
}

/** One that is off uses nothing. */
function spent(before: BoardUsage | null, after: BoardUsage | null): number {
  return (after?.cpuNs ?? 0) - (before?.cpuNs ?? 0);
}

function resultOf(found: readonly Slept[]): BenchResult {
  const figures = Object.fromEntries(
    found.flatMap(({ depth, awakeBytes, asleepBytes, cpuNs, servesMs }) => [
      [`${depth}AwakeMiB`, tenth(awakeBytes / mebi)],
      [`${depth}AsleepMiB`, tenth(asleepBytes / mebi)],
      [`${depth}CpuNs`, cpuNs],
      [`${depth}ServesMs`, tenth(servesMs)],
    ]),
  );
  return {
    figures,
    table: [
      ["depth", "awake, MiB", "asleep, MiB", "processor, ns", "serves after, ms"],
      ...found.map(({ depth, awakeBytes, asleepBytes, cpuNs, servesMs }) => [
        depth,
        String(tenth(awakeBytes / mebi)),
        String(tenth(asleepBytes / mebi)),
        String(cpuNs),
        String(tenth(servesMs)),
      ]),
    ],
    complaints: found
      .filter(({ cpuNs }) => cpuNs !== 0)
      .map(({ depth, cpuNs }) => `a board that sleeps ${depth} used ${cpuNs} ns of processor time, not 0`),
    plot: rangesPlot({
      title: "From asleep to the first answer, by depth and what is kept asleep",
      unit: "ms",
      rows: found.map(({ depth, asleepBytes, servesMs }) => ({
        label: `${depth}, ${tenth(asleepBytes / mebi)} MiB`,
        values: [servesMs],
      })),
    }),
  };
}

function tenth(value: number): number {
  return Math.round(value * 10) / 10;
}
