/** Numbered datagrams to a routed UDP service while it is taken over to and fro: which are lost, doubled, late. */
import type { DaemonSettings } from "../test/fixtures/routed/daemon.ts";
import { addresses, type FamilyName, RoutedLab } from "../test/fixtures/routed/lab.ts";
import { type Bench, type BenchResult, type BenchRun, wholeNumber } from "./bench.ts";
import {
  type DatagramsTold,
  datagramFigures,
  fenceComplaints,
  harnessComplaints,
  moreOf,
  echoPort as port,
  underDatagrams,
  underDatagramsToMachines,
} from "./takeover/datagrams.ts";
import { longerThan, notZero, takeoverResult } from "./takeover/figures.ts";
import { routedMachines, takeOverMachines } from "./takeover/machines.ts";
import {
  familyOption,
  oneOf,
  readBoards,
  readFamily,
  readMachineOptions,
  readTakeoverOptions,
  takeoverOptions,
} from "./takeover/options.ts";
import { type TakeoversDone, takeOver } from "./takeover/take-over.ts";

const promisedMoreMs = 1;
/** After a takeover the old board may answer what it heard for so long; sessions that are not still by then are moved. */
const drainMs = 100;
const quietMs = 50;

type Flows = "stateless" | "session";
interface Order {
  readonly rate: number;
  readonly flows: Flows;
  readonly perSocket: number;
  readonly family: FamilyName;
}

export const bench: Bench = {
  name: "udp-takeover",
  summary:
    "datagrams to a routed service while it is taken over to and fro: lost, doubled, reordered, longest gap",
  options: {
    ...takeoverOptions({ takeovers: 40, everyMs: 500, windowHalfMs: 25 }),
    rate: {
      value: "N",
      meaning: "datagrams a second, 10 to 20000",
      default: { namespace: "10000", qemu: "200" },
    },
    flows: { value: "KIND", meaning: "stateless or session", default: "stateless" },
    session: {
      value: "N",
      meaning: "datagrams of a session, each from a socket of its own, 10 to 1000000",
      default: { namespace: "1000", qemu: "100" },
    },
    family: familyOption,
  },
  needsRoot: true,
  run: udpTakeover,
};

async function udpTakeover({ options, ...run }: BenchRun): Promise<BenchResult> {
  const boards = readBoards(options);
  const order: Order = {
    rate: wholeNumber(options, "rate", 10, 20_000),
    flows: oneOf(options, "flows", ["stateless", "session"]),
    perSocket: wholeNumber(options, "session", 10, 1_000_000),
    family: readFamily(options),
  };
  const under = boards === "qemu" ? underMachines : underStandIns;
  const [done, result] = await under(options, order, run);
  const { flows } = order;
  const traffic = datagramFigures(result);
  return takeoverResult("udp-takeover", done, traffic, { boards, flows, ...moreOf(result) }, [
    ...notZero({ failed: traffic.failed, lost: traffic.lost, doubled: traffic.doubled }),
    ...(flows === "stateless" ? fenceComplaints(result) : notZero({ heardByBoth: result.heardByBoth })),
    ...longerThan(traffic, promisedMoreMs),
    ...harnessComplaints(result),
  ]);
}

type Run = Omit<BenchRun, "options">;

async function underStandIns(
  options: BenchRun["options"],
  { family, flows, perSocket, rate }: Order,
  run: Run,
): Promise<[TakeoversDone, DatagramsTold]> {
  const read = readTakeoverOptions(options);
  await using lab = await RoutedLab.make("bench-udp", { families: [family] });
  const daemon = lab.daemon(telemetry(lab, family, flows));
  await daemon.setUp(run.signal);
  await daemon.handOver("a", run.signal);
  const { device, outside } = lab.namespaces;
  const boards = { a: lab.boards.a.namespace, b: lab.boards.b.namespace };
  const target = { host: addresses[family].service, port };
  const session = flows === "session" ? { perSocket } : {};
  const order = { count: read.takeovers, everyMs: read.everyMs, afterwards: "fence" } as const;
  return await underDatagrams(
    outside,
    boards,
    { ...read, ...target, ...session, rate },
    async () => await takeOver(daemon, device, order, run),
  );
}

/** In the demo's lab, which has the same addresses as the routed one. */
async function underMachines(
  options: BenchRun["options"],
  { family, flows, perSocket, rate }: Order,
  run: Run,
): Promise<[TakeoversDone, DatagramsTold]> {
  const { takeovers, ...read } = readMachineOptions(options);
  const host = addresses[family].service;
  const times = flows === "session" ? `, drain: ${drainMs}ms, quiet: ${quietMs}ms` : `, drain: ${drainMs}ms`;
  await using lab = await routedMachines(
    [`  - { name: telemetry, protocol: udp, address: "${host}", port: ${port}, flows: ${flows}${times} }`],
    run,
  );
  const session = flows === "session" ? { perSocket } : {};
  return await underDatagramsToMachines(
    lab.namespaces.outside,
    { ...read, ...session, host, port, rate },
    async () => await takeOverMachines(lab, { count: takeovers, windowHalfMs: read.windowHalfMs }, run),
  );
}

/** Beside the lab's own services: one transaction moves them all. */
function telemetry({ settings }: RoutedLab, family: FamilyName, flows: Flows): Partial<DaemonSettings> {
  const { service: address } = addresses[family];
  const service = { name: "telemetry", protocol: "udp", address, port, drainMs } as const;
  if (flows === "stateless") return { stateless: [service] };
  return { services: [...settings.services, { ...service, quietMs }] };
}
