/** The takeover's transaction: how long it takes as the daemon sees it, and in the kernel. */
import { serviceAddresses } from "../demo/addresses.ts";
import { families, RoutedLab } from "../test/fixtures/routed/lab.ts";
import { type Bench, type BenchResult, type BenchRun, wholeNumber } from "./bench.ts";
import { connectionFigures, failuresIn, underConnections } from "./takeover/connections.ts";
import { noTraffic, notZero, takeoverResult } from "./takeover/figures.ts";
import { routedMachines, takeOverMachines } from "./takeover/machines.ts";
import { readBoards, readTakeoverOptions, readTakeovers, takeoverOptions } from "./takeover/options.ts";
import { takeOver } from "./takeover/take-over.ts";

const shared = takeoverOptions({ takeovers: 200, everyMs: 100, windowHalfMs: 10 });

export const bench: Bench = {
  name: "commit",
  summary:
    "the takeover's transaction, both families in one: how long it takes for the daemon and in the kernel",
  options: {
    ...shared,
    window: { ...shared.window, default: { namespace: "10", qemu: null } },
    rate: {
      value: "N",
      meaning: "new TCP connections a second beside it, 0 to 20000",
      default: { namespace: "0", qemu: null },
    },
  },
  needsRoot: true,
  run: commit,
};

async function commit({ options, ...run }: BenchRun): Promise<BenchResult> {
  return readBoards(options) === "qemu"
    ? await underMachines(options, run)
    : await underStandIns(options, run);
}

type Run = Omit<BenchRun, "options">;

/** Without traffic; each with all else that a rollback is. */
async function underMachines(options: BenchRun["options"], run: Run): Promise<BenchResult> {
  const count = readTakeovers(options);
  await using lab = await routedMachines([], run);
  // Nothing is seen in a window.
  const done = await takeOverMachines(lab, { count, windowHalfMs: 0 }, run);
  const more = { boards: "qemu", services: serviceAddresses.length };
  return takeoverResult("commit", done, noTraffic, more, []);
}

async function underStandIns(options: BenchRun["options"], { signal, say }: Run): Promise<BenchResult> {
  const read = readTakeoverOptions(options);
  const rate = wholeNumber(options, "rate", 0, 20_000);
  await using lab = await RoutedLab.make("bench-commit", { families });
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  const order = { count: read.takeovers, everyMs: read.everyMs };
  const takeOverAll = async () => await takeOver(daemon, lab.namespaces.device, order, { signal, say });
  const more = { boards: "namespace", services: lab.settings.services.length };
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
