/** The door to veth pairs (veth(4)) between this network namespace and a named one. */
import { writeFile } from "node:fs/promises";
import { readIp } from "./ip-reader.ts";
import { ipBatch, ipIn } from "./netns.ts";
import { run } from "./process.ts";
import type { WaitingBatch } from "./waiting-batch.ts";

export interface VethPair {
  /** The end in this namespace; at most 15 characters (IFNAMSIZ). */
  readonly name: string;
  /** The end in the other. */
  readonly peer: string;
  readonly peerMac: string;
  /** As of a tap (`tap.ts`). */
  readonly ipv6: "off" | "link-local" | "silent";
  readonly neighbour?: { readonly address: string; readonly mac: string };
}

/**
 * Makes the pairs and takes these ends up. Repeatable; a card of such a name whose other end is elsewhere is made anew. A board waits for
 * this when it boots, so it starts few programs. Errors: `command-failed`.
 */
export async function createVeths(
  namespace: string,
  pairs: readonly VethPair[],
  signal: AbortSignal,
): Promise<void> {
  const { here, there } = await cardsOf(namespace, signal);
  const lines: string[] = [];
  for (const pair of pairs) {
    const { name, peer, peerMac, neighbour } = pair;
    const card = here.find(({ ifname }) => ifname === name);
    if (!isMade(card, pair, there)) {
      if (card !== undefined) await run("ip", ["link", "delete", "dev", name], { signal });
      const other = ["peer", "name", peer, "address", peerMac, "netns", namespace];
      await run("ip", ["link", "add", "name", name, "type", "veth", ...other], { signal });
    }
    // Before the link is up, so that no solicitation and no report leaves first.
    if (pair.ipv6 === "off") await setIpv6(name, "disable_ipv6", "1");
    else {
      await setIpv6(name, "accept_ra", "0");
      if (pair.ipv6 === "silent") await setIpv6(name, "addr_gen_mode", "1");
      await setIpv6(name, "disable_ipv6", "0");
      await setIpv6(name, "accept_dad", "0");
    }
    lines.push(`link set dev ${name} up`);
    if (neighbour === undefined) continue;
    const { address, mac } = neighbour;
    lines.push(`neighbour replace ${address} lladdr ${mac} dev ${name} nud permanent`);
  }
  await ipBatch(lines, signal);
}

/** Removes both ends. Repeatable. Errors: `command-failed`. */
export async function deleteVeth(name: string, signal?: AbortSignal): Promise<void> {
  // 1: there is none; what the kernel refuses is 2 (ip(8)).
  const options = { allowedExitCodes: [1], ...(signal === undefined ? {} : { signal }) };
  await run("ip", ["link", "delete", "dev", name], options);
}

/**
 * Lets these cards drop all that is sent to them, by a queue that takes nothing (the kernel's `blackhole`, part of its packet
 * schedulers). Their links stay up. Repeatable. Errors: `command-failed`, `deadline-passed`.
 */
export async function shutCards(
  names: readonly string[],
  signal: AbortSignal,
  by: Carrier = {},
): Promise<void> {
  await trafficControl(
    names.map((name) => `qdisc replace dev ${name} root blackhole`),
    signal,
    by,
  );
}

/** Undoes `shutCards`. Repeatable. Errors: `command-failed`, `deadline-passed`. */
export async function openCards(
  names: readonly string[],
  signal: AbortSignal,
  by: Carrier = {},
): Promise<void> {
  // A card without a queue of its own has none that could be deleted.
  await trafficControl(
    names.map((name) => `qdisc replace dev ${name} root noqueue`),
    signal,
    by,
  );
}

interface Carrier {
  /** Where the cards are; this one if it is left out. */
  readonly namespace?: string;
  /** A tc(8) in that namespace, which carries it out if it waits. */
  readonly waiting?: WaitingBatch | undefined;
}

async function trafficControl(
  lines: readonly string[],
  signal: AbortSignal,
  { namespace, waiting }: Carrier,
): Promise<void> {
  if (waiting?.waits === true) return await waiting.run(lines, signal);
  const where = namespace === undefined ? [] : ["-netns", namespace];
  await run("tc", [...where, "-batch", "-"], { input: `${lines.join("\n")}\n`, signal });
}

interface Card {
  readonly ifname: string;
  readonly ifindex: number;
  /** Of the other end. */
  readonly link_index?: number;
  readonly address?: string;
  readonly linkinfo?: { readonly info_kind?: string };
}

/** All of this namespace and of the other. */
async function cardsOf(
  namespace: string,
  signal: AbortSignal,
): Promise<Record<"here" | "there", readonly Card[]>> {
  const [here, inside] = await Promise.all([
    readIp("link show"),
    ipIn(namespace, ["-json", "-details", "link", "show"], signal),
  ]);
  return {
    here: here as readonly Card[],
    there: JSON.parse(inside.trim() || "[]") as readonly Card[],
  };
}

function isMade(card: Card | undefined, { peer, peerMac }: VethPair, there: readonly Card[]): boolean {
  if (card?.linkinfo?.info_kind !== "veth") return false;
  return there.some(
    ({ ifname, ifindex, address }) => ifname === peer && ifindex === card.link_index && address === peerMac,
  );
}

async function setIpv6(name: string, key: string, value: string): Promise<void> {
  try {
    await writeFile(`/proc/sys/net/ipv6/conf/${name}/${key}`, value);
  } catch (error) {
    // A kernel without IPv6 has nothing to be told.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}
