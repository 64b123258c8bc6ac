/** A dormant board is woken and takes the service over, again and again: how soon it serves, step by step. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Waking } from "../test/fixtures/machines/daemon.ts";
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

/** From dormant to the first request served: DESIGN, of a machine under emulation. */
const promisedP50Ms = { qemu: 10, container: 2 } as const;
/** Within which the clock is known to be, before the board is given the service. */
const promisedClockMs = 10;

export const bench: Bench = {
  name: "dormant-to-serving",
  summary: "a dormant board is woken and takes over: how soon it serves, step by step",
  options: {
    boards: realBoardsOption,
    count: { value: "N", meaning: "wakings, 1 to 1000", default: "20" },
    dormant: { value: "MS", meaning: "how long a board is dormant each time, 0 to 60000", default: "500" },
  },
  needsRoot: true,
  hasPlot: true,
  run: dormantToServing,
};

async function dormantToServing({ options, signal, say }: BenchRun): Promise<BenchResult> {
  const count = wholeNumber(options, "count", 1, 1000);
  const dormantMs = wholeNumber(options, "dormant", 0, 60_000);
  const kind = realBoards(options);
  await using lab = await MachinesLab.open(signal, say, kind);
  const found: Waking[] = [];
  for (let to: "a" | "b" = "b"; found.length < count; to = to === "a" ? "b" : "a") {
    await sleep(dormantMs, undefined, { signal });
    const waking = await lab.wake(to, signal);
    found.push(waking);
    say(`waking ${found.length} of ${count}: ${told(waking)}`);
    await lab.layToSleep(to === "a" ? "b" : "a", signal);
  }
  return resultOf(found, promisedP50Ms[kind]);
}

function resultOf(found: readonly Waking[], promisedMs: number): BenchResult {
  const steps = {
    resume: found.map(({ resumeMs }) => resumeMs),
    clock: found.map(({ clock }) => clock?.tookMs ?? 0),
    takeover: found.map(({ takeoverMs }) => takeoverMs),
    answer: found.map(({ answerMs }) => answerMs),
    whole: found.map(({ resumeMs, takeoverMs, answerMs }) => resumeMs + takeoverMs + answerMs),
  };
  const bounds = found.map(({ clock }) => {
    if (clock === null) return 0;
    return clock.by === "program" ? clock.boundMs : Number.POSITIVE_INFINITY;
  });
  const figures: Record<string, number> = { wakings: found.length };
  for (const [name, times] of Object.entries({ ...steps, clockBound: bounds })) {
    const sorted = times.toSorted((one, other) => one - other);
    figures[`${name}P50Ms`] = tenth(sorted[Math.floor((sorted.length - 1) / 2)] ?? 0);
    figures[`${name}WorstMs`] = tenth(sorted.at(-1) ?? 0);
  }
  const { wholeP50Ms = 0, clockBoundWorstMs = 0 } = figures;
  return {
    figures,
    table: [["figure", "value"], ...Object.entries(figures).map(([name, value]) => [name, String(value)])],
    complaints: [
      ...(wholeP50Ms > promisedMs
        ? [`half of the wakings took longer than ${wholeP50Ms} ms, not ${promisedMs}`]
        : []),
      ...(clockBoundWorstMs > promisedClockMs
        ? [`a clock may have been ${clockBoundWorstMs} ms off, not ${promisedClockMs}`]
        : []),
    ],
    plot: rangesPlot({
      title: "From dormant to the first answer, step by step",
      unit: "ms",
      // The clock is a part of the waking, and a container has none of its own.
      rows: (["resume", "takeover", "answer", "whole"] as const).map((label) => ({
        label,
        values: steps[label],
      })),
    }),
  };
}

function told({ resumeMs, clock, takeoverMs, answerMs }: Waking): string {
  return `awake after ${tenth(resumeMs)} ms, took over within ${tenth(takeoverMs)} ms, answered within ${tenth(answerMs)} ms (clock: ${clock === null ? "the host's" : `set by the ${clock.by}`})`;
}

function tenth(ms: number): number {
  return Math.round(ms * 10) / 10;
}
