/**
 * Who else on this host has addresses of the boards' private network. The kernel has one route to an address: with another system of the
 * same network it would lead to the board that was attached last, and be gone when that system goes down.
 */
import { readdir } from "node:fs/promises";
import { BlockList, isIPv6 } from "node:net";
import { dirname } from "node:path";
import { boardNames } from "../../board/board.ts";
import { TwinboardError } from "../../errors.ts";
import { addresses } from "../../system/ip.ts";
import { hostKey, hostRoutes } from "../../system/kernel-routes.ts";
import { isServiceCard, type SystemNames, systemNames } from "../../system/names.ts";
import { type Family, ipv6 } from "../network/family.ts";
import { type BoardLinks, linkedFamilies, type RoutedPlan } from "./plan.ts";

export interface Overlap {
  readonly key: BoardsKey;
  /** As a sentence. */
  readonly what: string;
  readonly remedy: string;
  /** A board would not be reached, or another system's; otherwise it is the network's other addresses alone, or all of it stands already. */
  readonly refused: boolean;
}

type BoardsKey = "network.boards" | "network.boards6";

interface Had {
  readonly address: string;
  readonly card: string;
}

/** Networks to propose: the first of which no card has an address. */
const instead: Readonly<Record<BoardsKey, readonly string[]>> = {
  "network.boards": ["10.231.1.0/29", "10.231.2.0/29", "10.232.0.0/29"],
  "network.boards6": ["fd5c:9a1e:7b43::/64", "fd5c:9a1e:7b44::/64", "fd5c:9a1e:7b45::/64"],
};

/** Under which a family's boards' network stands in the configuration. */
export function boardsKeyOf({ name }: Pick<Family, "name">): BoardsKey {
  return name === ipv6.name ? "network.boards6" : "network.boards";
}

/**
 * At most one of each family, the worst. What the system's own cards have is its own, also from an earlier daemon.
 * Errors: `missing-program`, `command-failed`.
 */
export async function overlaps(plan: RoutedPlan): Promise<Overlap[]> {
  const ours = cardsOf(plan.names);
  const all = await addresses();
  const others = all.filter(({ card }) => !ours.includes(card));
  const routes = await hostRoutes();
  const isAdopted = isAttached(plan, all);
  const found: Overlap[] = [];
  for (const { family, links } of linkedFamilies(plan)) {
    const key = boardsKeyOf(family);
    const network = `${links.host}/${links.prefixLength}`;
    const had = others.filter(({ address }) => isWithin(address, network));
    const worst = had.find(
      ({ address, card }) => isServiceCard(card) || Object.values(links).includes(address),
    );
    const routed = routedElsewhere(links, routes, ours);
    const one = worst ?? routed ?? had[0];
    if (one === undefined) continue;
    const card = await named(plan.names, one.card);
    const inNetwork = `${one.address}, in the boards' network ${network}`;
    found.push({
      key,
      what: one === routed ? `a route leads by ${card} to ${inNetwork}` : `${card} has ${inNetwork}`,
      remedy: `name a prefix that nobody uses, such as ${key}: ${freePrefix(key, all)}`,
      refused: !isAdopted && (worst ?? routed) !== undefined,
    });
  }
  return found;
}

/** Before anything is changed. Errors: `address-in-use`; those of `overlaps`. */
export async function refuseOverlap(plan: RoutedPlan): Promise<void> {
  const found = (await overlaps(plan)).find(({ refused }) => refused);
  if (found === undefined) return;
  const { what, remedy } = found;
  throw new TwinboardError("address-in-use", { detail: `${what}; ${remedy}` });
}

function cardsOf(names: SystemNames): readonly string[] {
  return boardNames.map((board) => names.card(board, "service"));
}

/** A daemon that comes back to boards of its own does not leave them alone: it is told of the overlap, and goes on. */
function isAttached(plan: RoutedPlan, all: readonly Had[]): boolean {
  const ours = cardsOf(plan.names);
  return linkedFamilies(plan).every(({ links }) =>
    all.some(({ address, card }) => address === links.host && ours.includes(card)),
  );
}

/** The first address of a board to which a route leads by a card that is not ours. */
function routedElsewhere(
  links: BoardLinks,
  routes: ReadonlySet<string>,
  ours: readonly string[],
): Had | undefined {
  return boardNames
    .flatMap((board) => {
      const to = hostKey(links[board], "");
      const there = [...routes].filter((route) => route.startsWith(to));
      return there.map((route) => ({ address: links[board], card: route.slice(to.length) }));
    })
    .find(({ card }) => !ours.includes(card));
}

/** A card, with the system that it belongs to, if one of this host has it. */
async function named({ runDirectory }: SystemNames, card: string): Promise<string> {
  if (!isServiceCard(card)) return card;
  const systems = await readdir(dirname(runDirectory)).catch(() => []);
  const owner = systems.find((name) => cardsOf(systemNames(name)).includes(card));
  return owner === undefined ? `${card} of another system` : `${card} of system ${owner}`;
}

function freePrefix(key: BoardsKey, all: readonly Had[]): string {
  const [first = ""] = instead[key];
  return instead[key].find((prefix) => !all.some(({ address }) => isWithin(address, prefix))) ?? first;
}

function isWithin(address: string, prefix: string): boolean {
  const [base = "", length] = prefix.split("/");
  if (isIPv6(address) !== isIPv6(base)) return false;
  const network = new BlockList();
  network.addSubnet(base, Number(length), isIPv6(base) ? "ipv6" : "ipv4");
  return network.check(address, isIPv6(address) ? "ipv6" : "ipv4");
}
