/** Numbered datagrams to a routed UDP service while it is taken over to and fro: which are lost, doubled, late. */
import type { DaemonSettings } from "../test/fixtures/routed/daemon.ts";
import { addresses, type FamilyName, RoutedLab } from "../test/fixtures/routed/lab.ts";
import { type Bench, type BenchResult, type BenchRun, wholeNumber } from "./bench.ts";
import {
  datagramFigures,
  fenceComplaints,
  harnessComplaints,
  moreOf,
  underDatagrams,
} from "./takeover/datagrams.ts";
import { longerThan, notZero, takeoverResult } from "./takeover/figures.ts";
import {
  familyOption,
  oneOf,
  readFamily,
  readTakeoverOptions,
  refuseMachines,
  takeoverOptions,
} from "./takeover/options.ts";
import { takeOver } from "./takeover/take-over.ts";

const port = 5683;
const promisedMoreMs = 1;
/** After a takeover the old board may answer what it heard for so long; sessions that are not still by then are moved. */
const drainMs = 100;
const quietMs = 50;

export const bench: Bench = {
  name: "udp-takeover",
  summary:
    "datagrams to a routed service while it is taken over to and fro: lost, doubled, reordered, longest gap",
  options: {
    ...takeoverOptions({ takeovers: 40, everyMs: 500, windowHalfMs: 25 }),
    rate: { value: "N", meaning: "datagrams a second, 10 to 20000", default: "10000" },
    flows: { value: "KIND", meaning: "stateless or session", default: "stateless" },
    session: {
      value: "N",
      meaning: "datagrams of a session, each from a socket of its own, 10 to 1000000",
      default: "1000",
    },
    family: familyOption,
  },
  needsRoot: true,
  run: udpTakeover,
};

async function udpTakeover({ options, signal, say }: BenchRun): Promise<BenchResult> {
  refuseMachines(options);
  const read = readTakeoverOptions(options);
  const rate = wholeNumber(options, "rate", 10, 20_000);
  const flows = oneOf(options, "flows", ["stateless", "session"]);
  const perSocket = wholeNumber(options, "session", 10, 1_000_000);
  const family = readFamily(options);
  await using lab = await RoutedLab.make("bench-udp", { families: [family] });
  const daemon = lab.daemon(telemetry(lab, family, flows));
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  const { device, outside } = lab.namespaces;
  const boards = { a: lab.boards.a.namespace, b: lab.boards.b.namespace };
  const target = { host: addresses[family].service, port };
  const session = flows === "session" ? { perSocket } : {};
  const order = { count: read.takeovers, everyMs: read.everyMs, afterwards: "fence" } as const;
  const [done, result] = await underDatagrams(
    outside,
    boards,
    { ...read, ...target, ...session, rate },
    async () => await takeOver(daemon, device, order, { signal, say }),
  );
  const traffic = datagramFigures(result);
  return takeoverResult("udp-takeover", done, traffic, { flows, ...moreOf(result) }, [
    ...notZero({ failed: traffic.failed, lost: traffic.lost, doubled: traffic.doubled }),
    ...(flows === "stateless" ? fenceComplaints(result) : notZero({ heardByBoth: result.heardByBoth })),
    ...longerThan(traffic, promisedMoreMs),
    ...harnessComplaints(result),
  ]);
}

/** Beside the lab's own services: one transaction moves them all. */
function telemetry(
  { settings }: RoutedLab,
  family: FamilyName,
  flows: "stateless" | "session",
): Partial<DaemonSettings> {
  const { service: address } = addresses[family];
  const service = { name: "telemetry", protocol: "udp", address, port, drainMs } as const;
  if (flows === "stateless") return { stateless: [service] };
  return { services: [...settings.services, { ...service, quietMs }] };
}
