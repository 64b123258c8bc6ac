/** New TCP connections to the routed service, one request each, while it is taken over to and fro: which fail. */
import { RoutedLab } from "../test/fixtures/routed/lab.ts";
import { type Bench, type BenchResult, type BenchRun, wholeNumber } from "./bench.ts";
import { connectionFigures, failuresIn, underConnections } from "./takeover/connections.ts";
import { notZero, takeoverResult } from "./takeover/figures.ts";
import { familyOption, readFamily, readTakeoverOptions, takeoverOptions } from "./takeover/options.ts";
import { takeOver } from "./takeover/take-over.ts";

/** Nothing is cut: what began before a takeover may still be under way. */
const drainMs = 600_000;

export const bench: Bench = {
  name: "tcp-takeover",
  summary: "new TCP connections while the service is taken over to and fro: which fail",
  options: {
    ...takeoverOptions({ takeovers: 40, everyMs: 500, windowHalfMs: 25 }),
    rate: { value: "N", meaning: "connections a second, 1 to 20000; 0: as many as can be", default: "2000" },
    family: familyOption,
  },
  needsRoot: true,
  run: tcpTakeover,
};

async function tcpTakeover({ options, signal, say }: BenchRun): Promise<BenchResult> {
  const read = readTakeoverOptions(options);
  const rate = wholeNumber(options, "rate", 0, 20_000);
  const family = readFamily(options);
  await using lab = await RoutedLab.make("bench-tcp", { families: [family], drainMs });
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  const order = { count: read.takeovers, everyMs: read.everyMs };
  const [done, result] = await underConnections(lab, { ...read, family, rate }, async () =>
    takeOver(daemon, lab.namespaces.device, order, { signal, say }),
  );
  const traffic = connectionFigures(result);
  const more = {
    gapP50Ms: result.aroundTakeovers.p50Ms,
    baselineGapP50Ms: result.elsewhere.p50Ms,
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
