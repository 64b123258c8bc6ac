/** The door to tap cards: persistent, owned by an unprivileged user, made and removed by ip-tuntap(8). */
import { writeFile } from "node:fs/promises";
import { findUser } from "./accounts.ts";
import { ipBatch } from "./netns.ts";
import { run } from "./process.ts";
import type { WaitingBatch } from "./waiting-batch.ts";

export interface Tap {
  /** At most 15 characters (IFNAMSIZ). */
  readonly name: string;
  /** The user who may attach to it without privileges. */
  readonly ownerUid: number;
  /**
   * *off*: none. *link-local*: the host has that address at once. *silent*: it has no address but those that it is given. In no case
   * does it believe a router there.
   */
  readonly ipv6: "off" | "link-local" | "silent";
  /** Who is at the other end: reached without asking, so a board that is not up yet leaves no failed neighbour behind. */
  readonly neighbour?: { readonly address: string; readonly mac: string };
}

/** What the kernel itself gives a new tap. */
const queuePackets = 1000;

/** Makes the tap and takes its link up; one that is shut stays so. Repeatable; a card of that name with another owner is made anew. Errors: `command-failed`. */
export async function createTap(tap: Tap, signal?: AbortSignal): Promise<void> {
  const owner = await ownerOf(tap.name);
  if (owner !== undefined && owner !== tap.ownerUid) await deleteTap(tap.name, signal);
  if (owner !== tap.ownerUid)
    await ip(["tuntap", "add", "dev", tap.name, "mode", "tap", "user", String(tap.ownerUid)], signal);
  // Before the link is up, so that no solicitation and no report leaves first.
  if (tap.ipv6 === "off") await setIpv6(tap.name, "disable_ipv6", "1");
  else {
    await setIpv6(tap.name, "accept_ra", "0");
    if (tap.ipv6 === "silent") await setIpv6(tap.name, "addr_gen_mode", "1");
    // It was made without IPv6 by an earlier configuration.
    await setIpv6(tap.name, "disable_ipv6", "0");
    // Nobody else is on this wire: a second of duplicate address detection would only delay the first probe.
    await setIpv6(tap.name, "accept_dad", "0");
  }
  const { address, mac } = tap.neighbour ?? {};
  const peer = `neighbour replace ${address} lladdr ${mac} dev ${tap.name} nud permanent`;
  await ipBatch([`link set dev ${tap.name} up`, ...(tap.neighbour === undefined ? [] : [peer])], signal);
}

/** Removes the tap. Repeatable. Errors: `command-failed`. */
export async function deleteTap(name: string, signal?: AbortSignal): Promise<void> {
  if ((await ownerOf(name)) !== undefined) await ip(["link", "delete", "dev", name], signal);
}

/**
 * Takes the queues of these taps away, with whatever waits in them: from here on the kernel drops what is sent to them. Repeatable.
 * (tun(4) has one ring, as long as the card's queue; a ring of no length takes nothing.) @param waiting an ip(8) that carries it out, if it
 * waits. Errors: `command-failed`, `deadline-passed`.
 */
export async function shutTaps(
  names: readonly string[],
  signal: AbortSignal,
  waiting?: WaitingBatch,
): Promise<void> {
  await setQueues(names, 0, signal, waiting);
}

/** Gives them their queues, empty. Repeatable. @param waiting as of `shutTaps`. Errors: `command-failed`, `deadline-passed`. */
export async function openTaps(
  names: readonly string[],
  signal: AbortSignal,
  waiting?: WaitingBatch,
): Promise<void> {
  await setQueues(names, queuePackets, signal, waiting);
}

async function setQueues(
  names: readonly string[],
  packets: number,
  signal: AbortSignal,
  waiting: WaitingBatch | undefined,
): Promise<void> {
  const lines = names.map((name) => `link set dev ${name} txqueuelen ${packets}`);
  if (waiting?.waits === true) return await waiting.run(lines, signal);
  await ipBatch(lines, signal);
}

interface CardDetails {
  readonly linkinfo?: {
    readonly info_kind?: string;
    readonly info_data?: { readonly type?: string; readonly user?: string };
  };
}

/**
 * The owner's uid; -1 for a card of that name that is no tap of anybody's; `undefined` if there is no such card. Not from sysfs, which
 * shows the cards of the namespace that it was mounted in, and nsenter(1) may have brought us into another.
 */
async function ownerOf(name: string): Promise<number | undefined> {
  const { stdout, exitCode } = await run("ip", ["-json", "-details", "link", "show", "dev", name], {
    allowedExitCodes: [1],
  });
  if (exitCode !== 0) return undefined;
  const [card] = JSON.parse(stdout.toString()) as CardDetails[];
  const { info_kind: kind, info_data: data } = card?.linkinfo ?? {};
  if (kind !== "tun" || data?.type !== "tap" || data.user === undefined) return -1;
  return (await findUser(data.user))?.uid ?? -1;
}

async function setIpv6(name: string, key: string, value: string): Promise<void> {
  try {
    await writeFile(`/proc/sys/net/ipv6/conf/${name}/${key}`, value);
  } catch (error) {
    // A kernel without IPv6 has nothing to be told.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

async function ip(args: readonly string[], signal: AbortSignal | undefined): Promise<void> {
  await run("ip", args, signal === undefined ? {} : { signal });
}
