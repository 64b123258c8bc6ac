/** A serial line of 3 Mbaud, both ways without a pause, while it is moved to and fro between the boards. */
import { setTimeout as sleep } from "node:timers/promises";
import type { LineService } from "../src/service/line/line-service.ts";
import { LineLab } from "../test/fixtures/line/lab.ts";
import { Traffic, type TrafficResult } from "../test/fixtures/line/traffic.ts";
import { type Bench, type BenchResult, type BenchRun, wholeNumber } from "./bench.ts";
import { serialMachines } from "./takeover/line-machines.ts";
import { boardsOption, oneOf, readBoards, readMachineOptions, takeoverOptions } from "./takeover/options.ts";

/** 3,000,000 baud, ten bits a byte. */
const bytesPerSecond = 300_000;
/** From one takeover to the next: sixteen thousand bytes each way. */
const everyMs = 50;

const shared = takeoverOptions({ takeovers: 200, everyMs, windowHalfMs: 1 });

export const bench: Bench = {
  name: "serial-takeover",
  summary:
    "takeovers of a serial line at 300 kB/s each way: bytes lost, doubled or reordered, and the longest gap",
  options: {
    boards: boardsOption,
    takeovers: { ...shared.takeovers, meaning: "takeovers to and fro, 1 to 10000" },
    window: { ...shared.window, default: { namespace: null, qemu: "250" } },
    rate: {
      value: "N",
      meaning: "bytes a second each way, 100 to 1000000",
      default: { namespace: null, qemu: String(bytesPerSecond) },
    },
    port: {
      value: "KIND",
      meaning: "what the boards see: virtio or tty, which an emulated machine reads at 2000 bytes a second",
      default: { namespace: null, qemu: "virtio" },
    },
  },
  needsRoot: false,
  run: serialTakeover,
};

async function serialTakeover({ options, signal, say }: BenchRun): Promise<BenchResult> {
  const boards = readBoards(options);
  const takeovers = wholeNumber(options, "takeovers", 1, 10_000);
  if (boards === "qemu") {
    const rate = wholeNumber(options, "rate", 100, 1_000_000);
    const port = oneOf(options, "port", ["virtio", "tty"]);
    return await serialMachines(bench.name, { ...readMachineOptions(options), rate, port }, { signal, say });
  }
  await using lab = await LineLab.make();
  const pty = await lab.plug();
  const service = await lab.begin("a", signal);
  const traffic = new Traffic(lab, pty, { bytesPerSecond, holder: "a" });
  traffic.begin();
  say(`${(takeovers * everyMs) / 1000} s without a takeover, for comparison`);
  await sleep(takeovers * everyMs, undefined, { signal });
  const baselineLongestGapMs = traffic.takeLongestGapMs();
  say(`${takeovers} takeovers, one each ${everyMs} ms`);
  const commits = new Commits();
  for (let count = 0; count < takeovers; count++) {
    const next = sleep(everyMs, undefined, { signal });
    await traffic.takeOver(async (to) => {
      await commits.measure(service, to, count, signal);
      return to;
    });
    await next;
  }
  const longestGapMs = traffic.takeLongestGapMs();
  const result = await traffic.end(service);
  return resultOf(takeovers, result, commits, { longestGapMs, baselineLongestGapMs });
}

/** Lease and settle, as the daemon sees them. */
class Commits {
  failed = 0;
  readonly #ms: number[] = [];

  async measure(service: LineService, to: "a" | "b", count: number, signal: AbortSignal): Promise<void> {
    const started = performance.now();
    try {
      await service.lease(to, count + 1, signal);
      await service.settle(to, count + 2, signal);
    } catch {
      this.failed += 1;
    }
    this.#ms.push(performance.now() - started);
  }

  quantileMs(share: number): number {
    const sorted = this.#ms.toSorted((one, two) => one - two);
    return rounded(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN);
  }
}

function resultOf(
  takeovers: number,
  { sent, lost, doubled, reordered, late }: TrafficResult,
  commits: Commits,
  gaps: { readonly longestGapMs: number; readonly baselineLongestGapMs: number },
): BenchResult {
  const figures = {
    name: bench.name,
    takeovers,
    sent,
    failed: commits.failed,
    lost,
    doubled,
    reordered,
    longestGapMs: rounded(gaps.longestGapMs),
    baselineLongestGapMs: rounded(gaps.baselineLongestGapMs),
    commitP50Ms: commits.quantileMs(0.5),
    commitP99Ms: commits.quantileMs(0.99),
    late,
    boards: "namespace",
  };
  const complaints = (["failed", "lost", "doubled", "reordered"] as const)
    .filter((key) => figures[key] > 0)
    .map((key) => `${figures[key]} ${key === "failed" ? "takeovers" : "bytes"} ${key}`);
  const table = [
    ["takeovers", "bytes", "lost", "doubled", "reordered", "longest gap", "without", "commit p50", "p99"],
    [
      takeovers,
      sent,
      lost,
      doubled,
      reordered,
      `${figures.longestGapMs} ms`,
      `${figures.baselineLongestGapMs} ms`,
      `${figures.commitP50Ms} ms`,
      `${figures.commitP99Ms} ms`,
    ],
  ].map((row) => row.map(String));
  return { figures, table, complaints };
}

function rounded(ms: number): number {
  return Math.round(ms * 100) / 100;
}
