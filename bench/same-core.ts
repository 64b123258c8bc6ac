/**
 * Something answers 1,000 datagrams a second on a core on which something else boots: what the one that boots adds to the answers' times,
 * in the product's way and in others, one after the other in short windows, again and again.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { UsageError } from "../demo/foreground.ts";
import {
  type CpuGroup,
  joinGroup,
  makeCpuGroup,
  removeCpuGroup,
  setCpuPriority,
} from "../src/system/cgroup.ts";
import { MachinesLab } from "../test/fixtures/machines/lab.ts";
import { compiled, Native } from "../test/fixtures/traffic/native.ts";
import { recordsBytes, roundTripsOf } from "../test/fixtures/traffic/records.ts";
import { type Bench, type BenchResult, type BenchRun, wholeNumber } from "./bench.ts";

/** Where the one that answers and the one that boots are; what asks is on the other. */
const core = 0;
const askingCore = 1;
const port = 47_017;
const everyUs = 1000;
const windowMs = 2000;
const settleMs = 200;
const mostInWindow = 10_000;
const warmUpMs = 5000;
/** DESIGN: what a booting board adds to the other's p99. */
const promisedMs = 0.1;
/** Programs that begin and end, as in a boot, as fast as they can. */
const churn = "while :; do /bin/true; done";
const churns = 2;

const ways = ["nothing boots", "idle class", "equal shares", "one group"] as const;
type Way = (typeof ways)[number];

export const bench: Bench = {
  name: "same-core",
  summary: "something boots on the core of something that answers: what it adds to the answers' times",
  options: {
    boards: {
      value: "KIND",
      meaning: "what boots: process (programs that begin and end without a pause) or container",
      default: "process",
    },
    seconds: { value: "N", meaning: "measured in each way, 2 to 3600", default: "20" },
  },
  needsRoot: true,
  run: sameCore,
};

/** What boots, for one window. */
type Begin = (way: Way) => Promise<AsyncDisposable>;

async function sameCore({ options, signal, say }: BenchRun): Promise<BenchResult> {
  const kind = options["boards"];
  if (kind !== "process" && kind !== "container")
    throw new UsageError(`--boards is process or container, not ${JSON.stringify(kind)}`);
  const rounds = Math.ceil((wholeNumber(options, "seconds", 2, 3600) * 1000) / windowMs);
  await using stack = new AsyncDisposableStack();
  const serving = await ownGroup(stack, "serving");
  const echo = spawn(
    "taskset",
    [
      "-c",
      String(core),
      await compiled("datagram-echo"),
      "a",
      String(mostInWindow),
      "0",
      "127.0.0.1",
      String(port),
    ],
    {
      stdio: ["pipe", "ignore", "inherit"],
    },
  );
  stack.defer(async () => await ended(echo));
  await join(serving, echo);
  const begin =
    kind === "process" ? await processes(stack, serving) : await containers(stack, serving, signal, say);
  const own = kind === "process" ? ways : ways.filter((way) => way !== "one group");
  const times: Record<Way, number[]> = {
    "nothing boots": [],
    "idle class": [],
    "equal shares": [],
    "one group": [],
  };
  for (let round = 1; round <= rounds; round += 1) {
    for (const way of own) {
      await using _ = await begin(way);
      await sleep(settleMs, undefined, { signal });
      times[way].push(...(await ask(signal)));
    }
    if (round % 5 === 0) say(`${round} of ${rounds} rounds`);
  }
  return resultOf(own, times);
}

/** Milliseconds from each datagram to its answer. */
async function ask(signal: AbortSignal): Promise<number[]> {
  await using sender = await Native.start(
    "datagram-sender",
    ["127.0.0.1", port, "-", everyUs * 1e6, mostInWindow, 0, 1],
    askingCore,
  );
  await sender.ask(`warm ${warmUpMs}`, undefined, 2 * warmUpMs);
  await sender.ask("start");
  await sleep(windowMs, undefined, { signal });
  return roundTripsOf(await sender.ask("stop", recordsBytes, 2 * warmUpMs));
}

async function ownGroup(stack: AsyncDisposableStack, what: string): Promise<CpuGroup> {
  const name = `twinboard-bench-${process.pid}-${what}`;
  const group = await makeCpuGroup(name);
  if (group.path === undefined) throw new Error(`no control group for processor shares: ${group.reason}`);
  stack.defer(async () => await removeCpuGroup(name));
  return group;
}

async function processes(stack: AsyncDisposableStack, serving: CpuGroup): Promise<Begin> {
  const booting = await ownGroup(stack, "booting");
  return async (way) => {
    if (way === "nothing boots") return nothing;
    await setCpuPriority(booting, way === "idle class" ? "background" : "service");
    const children = Array.from({ length: churns }, () =>
      spawn("taskset", ["-c", String(core), "sh", "-c", churn], { stdio: "ignore", detached: true }),
    );
    for (const child of children) await join(way === "one group" ? serving : booting, child);
    return { [Symbol.asyncDispose]: async () => void (await Promise.all(children.map(ended))) };
  };
}

/** A real container, ended and booted again without a pause. */
async function containers(
  stack: AsyncDisposableStack,
  _serving: CpuGroup,
  signal: AbortSignal,
  say: BenchRun["say"],
): Promise<Begin> {
  const lab = stack.use(await MachinesLab.open(signal, say, "container", "warm", core));
  return async (way) => {
    if (way === "nothing boots") return nothing;
    const over = new AbortController();
    const boots = (async (): Promise<void> => {
      while (!over.signal.aborted)
        await lab.boot("b", signal, way === "idle class" ? "background" : "service");
    })();
    // One that fails is told when the window ends.
    boots.catch(() => undefined);
    return {
      [Symbol.asyncDispose]: async () => {
        over.abort();
        await boots;
      },
    };
  };
}

const nothing: AsyncDisposable = { [Symbol.asyncDispose]: () => Promise.resolve() };

async function join(group: CpuGroup, child: ChildProcess): Promise<void> {
  if (child.pid === undefined || group.path === undefined) throw new Error("a program could not be started");
  await joinGroup(group.path, child.pid);
}

/** With all that it began, if it leads a group of its own. */
async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const gone = once(child, "exit");
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    child.kill("SIGKILL");
  }
  await gone;
}

function resultOf(own: readonly Way[], times: Readonly<Record<Way, readonly number[]>>): BenchResult {
  const rows = own.map((way) => {
    const sorted = times[way].toSorted((one, other) => one - other);
    const at = (part: number): number => sorted[Math.floor((sorted.length - 1) * part)] ?? Number.NaN;
    return { way, answers: sorted.length, p50: at(0.5), p99: at(0.99), p999: at(0.999), worst: at(1) };
  });
  const p99 = (way: Way): number => rows.find((row) => row.way === way)?.p99 ?? Number.NaN;
  const added = thousandth(p99("idle class") - p99("nothing boots"));
  const figures: Record<string, unknown> = { addedP99Ms: added };
  for (const { way, answers, p50, p99: high, p999, worst } of rows) {
    const name = way.replaceAll(/ (.)/g, (_, letter: string) => letter.toUpperCase());
    figures[name] = {
      answers,
      p50Ms: thousandth(p50),
      p99Ms: thousandth(high),
      p999Ms: thousandth(p999),
      worstMs: thousandth(worst),
    };
  }
  return {
    figures,
    table: [
      ["way", "answers", "p50, ms", "p99, ms", "p99.9, ms", "longest, ms"],
      ...rows.map(({ way, answers, p50, p99: high, p999, worst }) => [
        way,
        String(answers),
        ...[p50, high, p999, worst].map((ms) => String(thousandth(ms))),
      ]),
    ],
    complaints:
      added > promisedMs ? [`what boots in the idle class adds ${added} ms to p99, not ${promisedMs}`] : [],
  };
}

function thousandth(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
