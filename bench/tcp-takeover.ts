/** New TCP connections to the routed service, one request each, while it is taken over to and fro: which fail. */
import { type FamilyName, RoutedLab } from "../test/fixtures/routed/lab.ts";
import type { ConnectionResult } from "../test/fixtures/traffic/connections.ts";
import { type Bench, type BenchResult, type BenchRun, wholeNumber } from "./bench.ts";
import { connectionFigures, failuresIn, underConnections } from "./takeover/connections.ts";
import { notZero, takeoverResult } from "./takeover/figures.ts";
import { routedMachines, takeOverMachines } from "./takeover/machines.ts";
import {
  familyOption,
  readBoards,
  readFamily,
  readMachineOptions,
  readTakeoverOptions,
  takeoverOptions,
} from "./takeover/options.ts";
import { type TakeoversDone, takeOver } from "./takeover/take-over.ts";

/** Nothing is cut: what began before a takeover may still be under way. */
const drainMs = 600_000;

interface Order {
  readonly family: FamilyName;
  readonly rate: number;
}

export const bench: Bench = {
  name: "tcp-takeover",
  summary: "new TCP connections while the service is taken over to and fro: which fail",
  options: {
    ...takeoverOptions({ takeovers: 40, everyMs: 500, windowHalfMs: 25 }),
    rate: {
      value: "N",
      meaning: "connections a second, 1 to 20000; 0: as many as can be",
      default: { namespace: "2000", qemu: "50" },
    },
    family: familyOption,
  },
  needsRoot: true,
  run: tcpTakeover,
};

async function tcpTakeover({ options, ...run }: BenchRun): Promise<BenchResult> {
  const boards = readBoards(options);
  const order = { rate: wholeNumber(options, "rate", 0, 20_000), family: readFamily(options) };
  const under = boards === "qemu" ? underMachines : underStandIns;
  const [done, result] = await under(options, order, run);
  const traffic = connectionFigures(result);
  const more = {
    boards,
    longestGapTakeover: result.aroundTakeovers.longestIn + 1,
    gapP50Ms: result.aroundTakeovers.p50Ms,
    baselineGapP50Ms: result.elsewhere.p50Ms,
    gapP99Ms: result.aroundTakeovers.p99Ms,
    baselineGapP99Ms: result.elsewhere.p99Ms,
    wholeRunLongestGapMs: result.longestGapMs,
    longestAnswerMs: result.longestMs,
    perSecond: Math.round(result.perSecond),
    senderLateWorstMs: result.lateWorstMs,
    servedBy: result.servedBy,
    failedBy: result.failed,
  };
  const complaints = [...notZero({ failed: traffic.failed }), ...failuresIn(done, result)];
  return takeoverResult("tcp-takeover", done, traffic, more, complaints);
}

type Run = Omit<BenchRun, "options">;

async function underStandIns(
  options: BenchRun["options"],
  order: Order,
  run: Run,
): Promise<[TakeoversDone, ConnectionResult]> {
  const { takeovers: count, everyMs, ...read } = readTakeoverOptions(options);
  await using lab = await RoutedLab.make("bench-tcp", { families: [order.family], drainMs });
  const daemon = lab.daemon();
  await daemon.setUp(run.signal);
  await daemon.handOver("a", run.signal);
  return await underConnections(
    lab.namespaces,
    { ...read, ...order },
    async () => await takeOver(daemon, lab.namespaces.device, { count, everyMs }, run),
  );
}

/** In the demo's lab, which has the same address as the routed one's. */
async function underMachines(
  options: BenchRun["options"],
  order: Order,
  run: Run,
): Promise<[TakeoversDone, ConnectionResult]> {
  const { takeovers: count, ...read } = readMachineOptions(options);
  await using lab = await routedMachines([], run);
  return await underConnections(
    lab.namespaces,
    { ...read, ...order },
    async () => await takeOverMachines(lab, { count, windowHalfMs: read.windowHalfMs }, run),
  );
}
