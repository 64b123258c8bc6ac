/** The boards' cards as ports of the integrator's bridge. Nothing else of that bridge is changed. Sources: ip-link(8), bridge(8). */
import { setTimeout as sleep } from "node:timers/promises";
import type { BoardName } from "../../board/board.ts";
import { TwinboardError } from "../../errors.ts";
import { removeAddresses } from "../../system/ip.ts";
import {
  addPortVlan,
  type Link,
  links,
  portVlans,
  removePortVlan,
  setLink,
  setLinks,
} from "../../system/links.ts";
import { writeSetting } from "../../system/sysctl.ts";
import type { BridgedPlan } from "./plan.ts";

/** A bridge that speaks STP lets a new port wait for twice its forward delay, which is 15 s unless it was told another. */
const forwardingTimeoutMs = 65_000;
const forwardingLookMs = 100;

/**
 * The bridge never learns where the boards' address is: it would have to learn anew at a takeover. What is for it goes to all ports, and
 * the gate lets it through to the holder. Multicast comes as to a router, so that no group that a board joined has to be joined anew. What
 * a board says as a bridge of its own makes it nobody's root.
 */
const portWords = [
  ["learning", "off", "flood", "on", "mcast_flood", "on", "bcast_flood", "on", "mcast_router", "2"],
  ["neigh_suppress", "off", "isolated", "off", "root_block", "on"],
].flat();

/** Makes the board's card, which exists, a port. Repeatable; what is so already is left alone. Errors: `missing-card`, `uplink-unfit`, `command-failed`. */
export async function joinBridge(plan: BridgedPlan, board: BoardName, signal: AbortSignal): Promise<void> {
  const { uplink, names } = plan;
  const card = names.card(board, "service");
  const found = await links();
  const bridge = bridgeOf(found, plan);
  const link = found.get(card);
  if (link === undefined) throw new TwinboardError("missing-card", { detail: `${card} of board ${board}` });
  // Out of a bridge, as it is now and then, it would answer for the host.
  await writeSetting(`net/ipv4/conf/${card}/arp_ignore`, "8");
  // A bridge takes over the lowest MAC address and the smallest MTU of its ports, unless it was given its own.
  const mac = highMac(plan, board);
  const words = [
    ...(link.mac === mac ? [] : ["address", mac]),
    ...(link.mtu === bridge.mtu ? [] : ["mtu", String(bridge.mtu)]),
  ];
  if (words.length > 0) await setLink(card, words, signal);
  const joined = link.port?.bridge === uplink;
  // Of another way of switching that was configured before.
  if (!joined) await removeAddresses(card);
  const asPort = [card, ["up", "type", "bridge_slave", ...portWords]] as const;
  if (joined) await setLinks([asPort], signal);
  else {
    // Last, what it learned before it was told not to.
    const forgetting = [card, ["type", "bridge_slave", "fdb_flush"]] as const;
    await setLinks([[card, ["master", uplink]], asPort, forgetting], signal);
  }
  await setVlans(card, plan);
}

/**
 * Waits until the board's port passes frames on: a bridge that speaks STP lets a new one wait.
 * Errors: `takeover-failed`; the signal's reason.
 * @param known all cards, if they were read just now.
 */
export async function untilForwarding(
  plan: BridgedPlan,
  board: BoardName,
  signal: AbortSignal,
  known?: ReadonlyMap<string, Link>,
): Promise<void> {
  const card = plan.names.card(board, "service");
  const deadline = performance.now() + forwardingTimeoutMs;
  for (let found = known ?? (await links()); ; found = await links()) {
    // A bridge that is gone keeps no board from relieving one that failed.
    const { state } = found.get(card)?.port ?? {};
    if (state !== "listening" && state !== "learning") return;
    if (performance.now() > deadline)
      throw new TwinboardError("takeover-failed", {
        detail: `port ${card} of ${plan.uplink} is still ${state}`,
      });
    await sleep(forwardingLookMs, undefined, { signal });
  }
}

/** Takes the card out of the bridge; repeatable, also if either is gone. Errors: `command-failed`. */
export async function leaveBridge({ names, uplink }: BridgedPlan, board: BoardName): Promise<void> {
  const card = names.card(board, "service");
  if ((await links()).get(card)?.port?.bridge === uplink) await setLink(card, ["nomaster"]);
}

/** The uplink. Errors: `missing-card`, `uplink-unfit`. */
export function bridgeOf(found: ReadonlyMap<string, Link>, { uplink, vlans }: BridgedPlan): Link {
  const link = found.get(uplink);
  if (link === undefined) throw new TwinboardError("missing-card", { detail: `${uplink}, the uplink` });
  if (link.bridge === undefined)
    throw new TwinboardError("uplink-unfit", {
      detail:
        link.port === undefined
          ? `${uplink} is no bridge: make one (ip link add br0 type bridge), put ${uplink} into it (ip link set ${uplink} master br0), and name the bridge`
          : `${uplink} is no bridge but a port of one: name that, ${link.port.bridge}`,
    });
  if (!link.bridge.vlanFiltering && (vlans.untagged !== null || vlans.tagged.length > 0))
    throw new TwinboardError("uplink-unfit", {
      detail: `${uplink} does not filter by VLAN, so it can put no card into one: ip link set ${uplink} type bridge vlan_filtering 1, or leave network.vlan and network.vlans out`,
    });
  return link;
}

/** A card, a bridge, or a board's end of a card is not there. */
export function isMissingCard(error: unknown): boolean {
  return error instanceof TwinboardError && error.code === "missing-card";
}

/** Whether the card is the port that `joinBridge` makes of it. */
export function isJoined(link: Link | undefined, { uplink }: BridgedPlan): boolean {
  return link?.up === true && link.port?.bridge === uplink && !link.port.learning;
}

/** Of the host's end of the card: higher than those of all others, so that no bridge takes it for its own. */
function highMac({ names }: BridgedPlan, board: BoardName): string {
  return names.mac(board, "service").replace(/^..:../, "fe:ff");
}

async function setVlans(card: string, { vlans: { untagged, tagged } }: BridgedPlan): Promise<void> {
  if (untagged === null && tagged.length === 0) return;
  const found = await portVlans(card);
  const wanted = new Map<number, "tagged" | "untagged">(tagged.map((vlan) => [vlan, "tagged"]));
  if (untagged !== null) wanted.set(untagged, "untagged");
  for (const [vlan, kind] of wanted) {
    const is = found.find((one) => one.vlan === vlan);
    const right = is !== undefined && is.pvid === (kind === "untagged") && is.untagged === is.pvid;
    if (!right) await addPortVlan(card, vlan, kind);
  }
  for (const { vlan } of found) if (!wanted.has(vlan)) await removePortVlan(card, vlan);
}
