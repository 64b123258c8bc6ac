/**
 * Which ways of moving a service fit this host, whatever the configuration chose, and what the kernel lacks for each. For people who have
 * yet to choose; nothing of it is an error, because what was chosen is looked at on its own. Changes nothing.
 */
import { readdir } from "node:fs/promises";
import type { Config } from "../config/config.ts";
import { features as bridgedFeatures } from "../service/bridged/host.ts";
import { elsewhere, type Feature, loadElsewhere } from "../service/network/host.ts";
import { features as routedFeatures } from "../service/routed/host.ts";
import { type Finding, fine, unseen } from "../system/finding.ts";
import { addresses } from "../system/ip.ts";
import { type Link, links } from "../system/links.ts";
import { cardRoles, systemNames } from "../system/names.ts";

interface Host {
  /** Neither the loopback card nor those of this system. */
  readonly cards: readonly Link[];
  /** Names of what this system has made. */
  readonly own: ReadonlySet<string>;
  /** Names of cards with an address of their own that is not link-local. */
  readonly addressed: ReadonlySet<string>;
}

interface Way {
  readonly name: "routed" | "bridged" | "two-cards";
  /** What it is for. */
  readonly use: string;
  readonly features: readonly Feature[];
  /** What of this host it could use, as a sentence. */
  readonly fit: (host: Host) => string;
}

const ways: readonly Way[] = [
  {
    name: "routed",
    use: "TCP, UDP and echo requests to an address of the host; connections are drained",
    features: routedFeatures,
    fit: ({ cards, addressed }) =>
      listed(
        "an uplink could be",
        cards.filter(({ name }) => addressed.has(name)).map(({ name }) => name),
        "no card has an address: give one to the card towards the outside",
      ),
  },
  {
    name: "bridged",
    use: "everything on Ethernet, also what is not IP; one card, and one identity that both boards carry",
    features: bridgedFeatures,
    fit: ({ cards }) =>
      listed(
        "an uplink could be",
        cards
          .filter(({ name, kind }) => kind === "bridge" && cards.some(({ port }) => port?.bridge === name))
          .map(({ name }) => name),
        "no bridge has a port: make one (ip link add br0 type bridge), and put the card into it",
      ),
  },
  {
    name: "two-cards",
    use: "the same with a card for each board",
    features: bridgedFeatures,
    fit: ({ cards, addressed, own }) => {
      const free = cards.filter(
        ({ name, kind, master }) =>
          kind !== "bridge" && (master === undefined || own.has(master)) && !addressed.has(name),
      );
      const names = free.map(({ name }) => name);
      return names.length < 2
        ? `two cards without an address are needed, ${names.length === 0 ? "none is there" : `${names[0]} is the only one`}`
        : `the cards could be two of ${names.join(", ")}`;
    },
  },
];

/** One finding for each way. */
export async function wayFindings({ system, network }: Config, signal: AbortSignal): Promise<Finding[]> {
  const host = await hostOf(system);
  const findings: Finding[] = [];
  for (const way of ways) {
    const where = `way: ${way.name}`;
    const lacks = await lackOf(way, signal);
    const chosen = network.mode === way.name ? "chosen; " : "";
    if (lacks === undefined)
      findings.push(unseen(where, `${way.use}; what the kernel has was not tried`, "run this as root"));
    else if (lacks.length > 0)
      findings.push(fine(where, `${chosen}not here: the kernel lacks ${lacks.join(", ")}`));
    else findings.push(fine(where, `${chosen}${way.use}; ${way.fit(host)}`));
  }
  return [...findings, await serialFinding(), await canFinding(signal)];
}

async function hostOf(system: string): Promise<Host> {
  const names = systemNames(system);
  const own = new Set(
    (["a", "b"] as const).flatMap((board) => cardRoles.map((role) => names.card(board, role))),
  );
  const cards = [...(await links()).values()].filter(({ name }) => name !== "lo" && !own.has(name));
  const addressed = (await addresses()).filter(({ address }) => !address.startsWith("fe80:"));
  return { cards, own, addressed: new Set(addressed.map(({ card }) => card)) };
}

/** Names of what is missing; `undefined`: it could not be tried. */
async function lackOf({ features }: Way, signal: AbortSignal): Promise<string[] | undefined> {
  const lacks: string[] = [];
  for (const { name, option, family = "inet", chain } of features) {
    const loaded = await loadElsewhere(`table ${family} probe { chain probe { ${chain} }; }`, signal);
    if (loaded !== "loaded" && loaded.kind === "untried") return undefined;
    if (loaded !== "loaded") lacks.push(`${name} (CONFIG_${option})`);
  }
  return lacks;
}

function listed(prefix: string, names: readonly string[], otherwise: string): string {
  return names.length === 0 ? otherwise : `${prefix} ${names.join(" or ")}`;
}

async function serialFinding(): Promise<Finding> {
  const where = "way: serial";
  const byId = await readdir("/dev/serial/by-id").catch(() => []);
  const plain = (await readdir("/dev").catch(() => [])).filter((name) =>
    /^tty(S|USB|ACM|AMA|O|mxc)\d+$/.test(name),
  );
  const found = [...byId.map((name) => `/dev/serial/by-id/${name}`), ...plain.map((name) => `/dev/${name}`)];
  return fine(
    where,
    `a serial line, or a stream of the host; ${listed("a line could be", found.slice(0, 8), "no serial device is there")}`,
  );
}

async function canFinding(signal: AbortSignal): Promise<Finding> {
  const where = "way: can";
  if (process.geteuid?.() !== 0)
    return unseen(where, "a CAN bus; what the kernel has was not tried", "run this as root");
  const pair = ["ip", "link", "add", "probe0", "type", "vxcan", "peer", "name", "probe1"];
  const { exitCode } = await elsewhere(pair, signal);
  return fine(
    where,
    exitCode === 0
      ? "a CAN bus; the kernel has pairs of CAN cards"
      : "not here: the kernel lacks pairs of CAN cards (CONFIG_CAN_VXCAN)",
  );
}
