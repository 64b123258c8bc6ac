/** The takeover's transaction: how long it takes as the daemon sees it, and in the kernel. */
import { families, RoutedLab } from "../test/fixtures/routed/lab.ts";
import { type Bench, type BenchResult, type BenchRun, wholeNumber } from "./bench.ts";
import { connectionFigures, failuresIn, underConnections } from "./takeover/connections.ts";
import { noTraffic, notZero, takeoverResult } from "./takeover/figures.ts";
import { readTakeoverOptions, refuseMachines, takeoverOptions } from "./takeover/options.ts";
import { takeOver } from "./takeover/take-over.ts";

export const bench: Bench = {
  name: "commit",
  summary:
    "the takeover's transaction, both families in one: how long it takes for the daemon and in the kernel",
  options: {
    ...takeoverOptions({ takeovers: 200, everyMs: 100, windowHalfMs: 10 }),
    rate: { value: "N", meaning: "new TCP connections a second beside it, 0 to 20000", default: "0" },
  },
  needsRoot: true,
  run: commit,
};

async function commit({ options, signal, say }: BenchRun): Promise<BenchResult> {
  refuseMachines(options);
  const read = readTakeoverOptions(options);
  const rate = wholeNumber(options, "rate", 0, 20_000);
  await using lab = await RoutedLab.make("bench-commit", { families });
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  const order = { count: read.takeovers, everyMs: read.everyMs };
  const takeOverAll = async () => await takeOver(daemon, lab.namespaces.device, order, { signal, say });
  const more = { services: lab.settings.services.length };
  if (rate === 0) return takeoverResult("commit", await takeOverAll(), noTraffic, more, []);
  const [done, result] = await underConnections(
    lab.namespaces,
    { ...read, family: "ipv4", rate },
    takeOverAll,
  );
  const traffic = connectionFigures(result);
  const complaints = [...notZero({ failed: traffic.failed }), ...failuresIn(done, result)];
  return takeoverResult("commit", done, traffic, more, complaints);
}
