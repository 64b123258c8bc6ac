/**
 * Something answers on a core on which something else boots: what the one that boots adds to the answers' times, in the product's way and
 * in others, one after the other in short windows, again and again.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { UsageError } from "../demo/foreground.ts";
import { run } from "../src/system/process.ts";
import { MachinesLab } from "../test/fixtures/machines/lab.ts";
import { type Bench, type BenchResult, type BenchRun, wholeNumber } from "./bench.ts";
import { type Plot, rangesPlot } from "./plot.ts";
import { type Ask, type Asked, askingCore, askMachine, askProgram } from "./same-core/asking.ts";
import { boards, type Contender, programs, shareGroup, type Way } from "./same-core/contender.ts";

/** Where the one that answers and the one that boots are; what asks is on the other. */
const core = 0;
const settleMs = 200;
/** DESIGN: what a booting board adds to the other's p99. */
const promisedMs = 0.1;
/** Of machines under emulation, of the p99 of requests. */
const promisedFactor = 1.1;
/** A machine boots for seconds. */
const windowMs = { process: 2000, container: 2000, qemu: 10_000 } as const;
type Kind = keyof typeof windowMs;

export const bench: Bench = {
  name: "same-core",
  summary: "something boots on the core of something that answers: what it adds to the answers' times",
  options: {
    boards: {
      value: "KIND",
      meaning:
        "what boots: process (programs that begin and end without a pause) or container, beside a program that answers datagrams; " +
        "or qemu, beside a machine's web server",
      default: "process",
    },
    seconds: { value: "N", meaning: "measured in each way, 2 to 3600", default: "20" },
  },
  needsRoot: true,
  hasPlot: true,
  run: sameCore,
};

interface Measured {
  readonly times: number[];
  readonly boots: number[];
  unanswered: number;
}

async function sameCore({ options, signal, say }: BenchRun): Promise<BenchResult> {
  const kind = options["boards"];
  if (kind !== "process" && kind !== "container" && kind !== "qemu")
    throw new UsageError(`--boards is process, container or qemu, not ${JSON.stringify(kind)}`);
  const rounds = Math.ceil((wholeNumber(options, "seconds", 2, 3600) * 1000) / windowMs[kind]);
  // This program, the daemon's side of a board, and whatever else they begin: what answers and what boots have the core for themselves.
  await run("taskset", ["-a", "-p", "-c", String(askingCore), String(process.pid)], { signal });
  await using stack = new AsyncDisposableStack();
  const found = new Map<Way, Measured>();
  const { ask, contender } = await sides(stack, kind, found, { options, signal, say });
  for (const way of contender.ways) found.set(way, { times: [], boots: [], unanswered: 0 });
  for (let round = 0; round < rounds; round += 1) {
    for (const way of turned(contender.ways, round)) {
      await using _ = await contender.begin(way);
      await sleep(settleMs, undefined, { signal });
      note(way, found.get(way), await ask(windowMs[kind]));
    }
    if ((round + 1) % 5 === 0) say(`${round + 1} of ${rounds} rounds`);
  }
  return resultOf(kind, found);
}

/** What is asked, and what boots beside it. */
async function sides(
  stack: AsyncDisposableStack,
  kind: Kind,
  found: ReadonlyMap<Way, Measured>,
  { signal, say }: BenchRun,
): Promise<{ readonly ask: Ask; readonly contender: Contender }> {
  const booted = (way: Way, ms: number): void => void found.get(way)?.boots.push(ms);
  if (kind === "qemu") {
    const lab = stack.use(await MachinesLab.open(signal, say, kind, "warm", core));
    return {
      ask: askMachine(stack, lab, signal),
      contender: await boards(stack, { lab, kind }, core, booted, signal),
    };
  }
  const serving = await shareGroup(stack, "serving");
  const ask = await askProgram(stack, core, serving, signal);
  if (kind === "process") return { ask, contender: await programs(stack, core, serving) };
  const lab = stack.use(await MachinesLab.open(signal, say, kind, "warm", core));
  return { ask, contender: await boards(stack, { lab, kind }, core, booted, signal) };
}

/** Each way is the first as often as any other: what comes before it cannot favour one. */
function turned(ways: readonly Way[], by: number): readonly Way[] {
  const first = by % ways.length;
  return [...ways.slice(first), ...ways.slice(0, first)];
}

/** Errors: nothing was answered. */
function note(way: Way, measured: Measured | undefined, { times, sent }: Asked): void {
  if (measured === undefined || times.length === 0) throw new Error(`${way}: nothing was answered`);
  measured.times.push(...times);
  measured.unanswered += sent - times.length;
}

function resultOf(kind: Kind, found: ReadonlyMap<Way, Measured>): BenchResult {
  const rows = [...found].map(([way, { times, boots, unanswered }]) => {
    const sorted = times.toSorted((one, other) => one - other);
    const at = (part: number): number => thousandth(sorted[Math.floor((sorted.length - 1) * part)] ?? 0);
    const boot = boots.toSorted((one, other) => one - other)[Math.floor((boots.length - 1) / 2)];
    const figures = {
      answers: sorted.length,
      unanswered,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      p999Ms: at(0.999),
      longestMs: at(1),
      boots: boots.length,
      bootP50Ms: boot === undefined ? null : Math.round(boot),
    };
    return { way, ...figures };
  });
  const of = (way: Way): number => rows.find((row) => row.way === way)?.p99Ms ?? Number.POSITIVE_INFINITY;
  const addedP99Ms = thousandth(of("idle class") - of("core awake"));
  const factorP99 = Math.round((100 * of("idle class")) / of("core awake")) / 100;
  const complaints = rows
    .filter(({ unanswered }) => unanswered > 0)
    .map(({ way, unanswered }) => `${way}: ${unanswered} were not answered`);
  if (kind === "qemu" ? factorP99 > promisedFactor : addedP99Ms > promisedMs)
    complaints.push(
      kind === "qemu"
        ? `with a boot in the idle class p99 is ${factorP99} times as long, not ${promisedFactor}`
        : `what boots in the idle class adds ${addedP99Ms} ms to p99, not ${promisedMs}`,
    );
  return {
    figures: {
      addedP99Ms,
      factorP99,
      ...Object.fromEntries(
        rows.map(({ way, ...figures }) => [
          way.replaceAll(/ (.)/g, (_, letter: string) => letter.toUpperCase()),
          figures,
        ]),
      ),
    },
    table: [
      ["way", "answers", "p50, ms", "p99, ms", "p99.9, ms", "longest, ms", "boots", "boot p50, ms"],
      ...rows.map(({ way, answers, p50Ms, p99Ms, p999Ms, longestMs, boots, bootP50Ms }) => [
        way,
        ...[answers, p50Ms, p99Ms, p999Ms, longestMs, boots, bootP50Ms ?? "-"].map(String),
      ]),
    ],
    complaints,
    plot: plotOf(kind, found),
  };
}

function plotOf(kind: Kind, found: ReadonlyMap<Way, Measured>): string {
  const title =
    kind === "qemu"
      ? "Requests of a machine, while another boots on its core"
      : `Datagrams of a program at 1 kHz, while ${kind === "process" ? "programs begin and end" : "a container boots"} on its core`;
  const plot: Plot = {
    title,
    unit: "ms",
    rows: [...found].map(([label, { times }]) => ({ label, values: times })),
  };
  return rangesPlot(plot);
}

function thousandth(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
