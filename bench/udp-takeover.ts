/** Numbered datagrams to a routed UDP service while it is taken over to and fro: which are lost, doubled, late. */
import type { PlannedService } from "../src/service/routed/plan.ts";
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
import { familyOption, oneOf, readFamily, readTakeoverOptions, takeoverOptions } from "./takeover/options.ts";
import { takeOver } from "./takeover/take-over.ts";

const port = 5683;
const promisedMoreMs = 1;
/** A session is a socket of its own: so many datagrams, then the next one. */
const perSession = 100;
/** Sessions that began before a takeover stay with their board until they are still or this has passed. */
const drainMs = 30_000;
const quietMs = 1000;

export const bench: Bench = {
  name: "udp-takeover",
  summary:
    "datagrams to a routed service while it is taken over to and fro: lost, doubled, reordered, longest gap",
  options: {
    ...takeoverOptions({ takeovers: 40, everyMs: 500, windowHalfMs: 25 }),
    rate: { value: "N", meaning: "datagrams a second, 10 to 20000", default: "10000" },
    flows: { value: "KIND", meaning: "stateless or session", default: "stateless" },
    family: familyOption,
  },
  needsRoot: true,
  run: udpTakeover,
};

async function udpTakeover({ options, signal, say }: BenchRun): Promise<BenchResult> {
  const read = readTakeoverOptions(options);
  const rate = wholeNumber(options, "rate", 10, 20_000);
  const flows = oneOf(options, "flows", ["stateless", "session"]);
  const family = readFamily(options);
  await using lab = await RoutedLab.make("bench-udp", { families: [family] });
  const daemon = lab.daemon({ services: [telemetry(family, flows)] });
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  const { device, outside } = lab.namespaces;
  const boards = { a: lab.boards.a.namespace, b: lab.boards.b.namespace };
  const target = { host: addresses[family].service, port };
  const session = flows === "session" ? { perSocket: perSession } : {};
  const order = { count: read.takeovers, everyMs: read.everyMs };
  // Stateless, nothing is left to drain but answers that are under way; a session may outlast the next takeover.
  const afterwards = flows === "stateless" ? ({ afterwards: "fence" } as const) : {};
  const [done, result] = await underDatagrams(
    outside,
    boards,
    { ...read, ...target, ...session, rate },
    async () => await takeOver(daemon, device, { ...order, ...afterwards }, { signal, say }),
  );
  const traffic = datagramFigures(result);
  return takeoverResult("udp-takeover", done, traffic, { flows, ...moreOf(result) }, [
    ...notZero({ failed: traffic.failed, lost: traffic.lost, doubled: traffic.doubled }),
    ...(flows === "stateless" ? fenceComplaints(result) : notZero({ heardByBoth: result.heardByBoth })),
    ...longerThan(traffic, promisedMoreMs),
    ...harnessComplaints(result),
  ]);
}

function telemetry(family: FamilyName, flows: "stateless" | "session"): PlannedService {
  const service = { name: "telemetry", protocol: "udp", address: addresses[family].service, port, flows };
  return { ...service, drainMs, quietMs } as unknown as PlannedService;
}
