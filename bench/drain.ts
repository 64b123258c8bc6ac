/** The drain of very many idle connections: how long it takes, and whether new connections feel it. */
import { join } from "node:path";
import { UsageError } from "../demo/foreground.ts";
import type { DrainResult } from "../src/service/service.ts";
import { moreOutside } from "../test/fixtures/namespaces.ts";
import { Peer } from "../test/fixtures/peer.ts";
import type { LoadResult } from "../test/fixtures/routed/client.ts";
import { addresses, type FamilyName, RoutedLab } from "../test/fixtures/routed/lab.ts";
import { type Bench, type BenchResult, type BenchRun, wholeNumber } from "./bench.ts";

const port = 82;
/** Below the usual limit of a process's open files. */
const perProcess = 12_500;
const newPerSecond = 50;
const drainMs = 600_000;

export const bench: Bench = {
  name: "drain",
  summary: "many idle connections: how soon a drain has closed them, and what new connections feel of it",
  options: {
    flows: { value: "N", meaning: "connections, 10 to 200000", default: "10000" },
    family: { value: "NAME", meaning: "ipv4 or ipv6", default: "ipv4" },
  },
  needsRoot: true,
  run: drain,
};

async function drain({ options, signal, say }: BenchRun): Promise<BenchResult> {
  const flows = wholeNumber(options, "flows", 10, 200_000);
  const family = familyOf(options["family"]);
  await using lab = await RoutedLab.make("bench-drain", { families: [family], drainMs });
  const web = lab.settings.services.filter(({ port: webPort }) => webPort === 80);
  const crowded = web.map((service) => ({ ...service, name: "crowd", port, insidePort: port }));
  const daemon = lab.daemon({ services: [...web, ...crowded] });
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  await using crowd = await Crowd.make(lab, family, flows);
  say(`${flows} connections are open`);
  await lab.clients.call("startLoad", { perSecond: newPerSecond });
  const sinceMs = Date.now();
  await daemon.handOver("b", signal);
  const result = await daemon.drain("a", { sinceMs }, signal);
  const load = await lab.clients.call<LoadResult>("stopLoad");
  const ends = await crowd.ends();
  const left = await connectionsOf(lab);
  return resultOf(flows, family, result, load, left, ends);
}

function resultOf(
  flows: number,
  family: FamilyName,
  { ms, closedEarly, finished, cut, remarks }: DrainResult,
  load: LoadResult,
  leftOnBoard: number,
  ends: Readonly<Record<string, number>>,
): BenchResult {
  const figures = {
    flows,
    family,
    drainMs: Math.round(ms),
    closedEarly,
    finished,
    cut,
    leftOnBoard,
    ends,
    remarks,
    newConnections: load.asked,
    newFailed: load.failures.length,
    newLongestMs: load.longestMs,
  };
  const complaints = [
    ...(closedEarly === flows ? [] : [`${closedEarly} of ${flows} connections were closed early`]),
    ...(leftOnBoard === 0 ? [] : [`${leftOnBoard} connections are left on the old board`]),
    ...(load.failures.length === 0 ? [] : [`${load.failures.length} new connections failed`]),
  ];
  const table = [
    ["connections", "drained in", "closed early", "cut", "left on the board", "new ones", "of these failed"],
    [flows, `${(ms / 1000).toFixed(1)} s`, closedEarly, cut, leftOnBoard, load.asked, load.failures.length],
  ].map((row) => row.map(String));
  return { figures, table, complaints };
}

/** What the old board's kernel still has. */
async function connectionsOf(lab: RoutedLab): Promise<number> {
  const filter = ["state", "established", "sport", `= :${port}`];
  return (await lab.inBoard("a", "ss", ["-Htn", ...filter])).split("\n").filter(Boolean).length;
}

function familyOf(text: string | undefined): FamilyName {
  if (text === "ipv4" || text === "ipv6") return text;
  throw new UsageError(`--family is ipv4 or ipv6, not ${JSON.stringify(text)}`);
}

/** Clients outside and their servers on board a, in as many processes as their open files need. */
class Crowd implements AsyncDisposable {
  readonly #clients: Peer[] = [];
  readonly #servers: Peer[] = [];

  static async make(lab: RoutedLab, family: FamilyName, flows: number): Promise<Crowd> {
    const crowd = new Crowd();
    const file = join(import.meta.dirname, "../test/fixtures/routed/crowd.ts");
    const { namespace } = lab.boards.a;
    for (let left = flows; left > 0; left -= perProcess) {
      const server = new Peer(namespace, file, {});
      const client = new Peer(lab.namespaces.outside, file, {});
      crowd.#servers.push(server);
      crowd.#clients.push(client);
      await server.call("listen", { port });
    }
    const local = await moreOutside(lab.namespaces, family, crowd.#clients.length);
    const each = crowd.#clients.map(async (client, index) => {
      const localAddress = local[index];
      const count = Math.min(perProcess, flows - index * perProcess);
      await client.call("open", { host: addresses[family].service, port, count, localAddress });
    });
    await Promise.all(each);
    return crowd;
  }

  async ends(): Promise<Record<string, number>> {
    const all: Record<string, number> = {};
    for (const client of this.#clients)
      for (const [how, count] of Object.entries(await client.call<Record<string, number>>("ends")))
        all[how] = (all[how] ?? 0) + count;
    return all;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#clients, ...this.#servers].map(async (peer) => await peer.kill()));
  }
}
