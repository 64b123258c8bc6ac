/** A board that does not hold is ended and booted again, beside one that serves: how soon it reports READY. */
import type { Boot } from "../test/fixtures/machines/daemon.ts";
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

/** Of a container; how long a machine takes is its image's affair. */
const promisedMs = 300;

export const bench: Bench = {
  name: "boot",
  summary: "a board boots beside one that serves: how soon it reports READY",
  options: {
    boards: realBoardsOption,
    count: { value: "N", meaning: "boots, 1 to 1000", default: "20" },
  },
  needsRoot: true,
  hasPlot: true,
  run: boots,
};

async function boots({ options, signal, say }: BenchRun): Promise<BenchResult> {
  const kind = realBoards(options);
  const count = wholeNumber(options, "count", 1, 1000);
  await using lab = await MachinesLab.open(signal, say, kind);
  const found: Boot[] = [];
  while (found.length < count) {
    const boot = await lab.boot("b", signal);
    found.push(boot);
    say(
      `boot ${found.length} of ${count}: runs after ${tenth(boot.startMs)} ms, READY within ${tenth(boot.readyMs)} ms`,
    );
  }
  const steps = {
    start: found.map(({ startMs }) => startMs),
    ready: found.map(({ readyMs }) => readyMs),
    whole: found.map(({ startMs, readyMs }) => startMs + readyMs),
  };
  const figures: Record<string, number> = { boots: found.length };
  for (const [name, times] of Object.entries(steps)) {
    const sorted = times.toSorted((one, other) => one - other);
    figures[`${name}P50Ms`] = tenth(sorted[Math.floor((sorted.length - 1) / 2)] ?? 0);
    figures[`${name}WorstMs`] = tenth(sorted.at(-1) ?? 0);
  }
  const { wholeP50Ms = 0 } = figures;
  return {
    figures,
    table: [["figure", "value"], ...Object.entries(figures).map(([name, value]) => [name, String(value)])],
    complaints:
      kind === "container" && wholeP50Ms > promisedMs
        ? [`half of the boots took longer than ${wholeP50Ms} ms, not ${promisedMs}`]
        : [],
    plot: rangesPlot({
      title: "Boots beside a board that serves",
      unit: "ms",
      rows: Object.entries(steps).map(([label, values]) => ({ label, values })),
    }),
  };
}

function tenth(ms: number): number {
  return Math.round(ms * 10) / 10;
}
