/**
 * A bridge of our own for a card that has no address: its only ports are that card, the board's and the double's. It never learns, and the
 * host is no party on it. Sources: ip-link(8), bridge(8).
 */
import type { BoardName } from "../../board/board.ts";
import { addresses } from "../../system/ip.ts";
import { type Link, links, setLink, setLinks } from "../../system/links.ts";
import { run } from "../../system/process.ts";
import { hasSetting, writeSetting } from "../../system/sysctl.ts";
import type { HostSettings } from "../network/settings.ts";
import type { TwoCardsPlan } from "./plan.ts";
import { outerPorts, requireUplink } from "./wire.ts";

/**
 * All but the groups that no bridge may pass on (IEEE 802.1Q, table 8-1, addresses …00 to …02): the board is to have the card as if it were
 * its own, with LLDP and 802.1X.
 */
const passedGroups = "0xfff8";
const bridgeWords = [
  ["type", "bridge", "stp_state", "0", "forward_delay", "0", "mcast_snooping", "0"],
  ["group_fwd_mask", passedGroups],
].flat();
const portWords = ["type", "bridge_slave", "learning", "off", "flood", "on", "mcast_flood", "on"];

/**
 * Makes it, with the card in it, if that is there. Repeatable; what is so already is left alone. Errors: `uplink-unfit` (the card is something
 * else's by now), `command-failed`.
 */
export async function makeOwnBridge(
  plan: TwoCardsPlan,
  board: BoardName,
  settings: HostSettings,
  signal: AbortSignal,
): Promise<void> {
  const bridge = plan.names.card(board, "bridge");
  const uplink = plan.uplinks[board];
  const found = await links();
  if (!found.has(bridge)) {
    await run("ip", ["link", "add", "name", bridge, ...bridgeWords], { signal });
    await silence(bridge, writeSetting);
    await setLink(bridge, ["up"], signal);
  }
  // Of an earlier configuration: two cards in it would join what is outside.
  for (const { name } of outerPorts(plan, board, found))
    if (name !== uplink) await setLink(name, ["nomaster"], signal);
  const card = found.get(uplink);
  if (card === undefined) return;
  if (!isPlugged(card, bridge)) {
    requireUplink(plan, board, found, await addresses());
    // What the host says by itself on a card that is up would go out beside the board.
    await silence(uplink, (setting, value) => settings.set(setting, value));
    const changes = [["master", bridge], portWords, ["type", "bridge_slave", "fdb_flush"]];
    await setLinks(
      changes.map((words) => [uplink, words] as const),
      signal,
    );
  }
  if (!card.up) await settings.raise(uplink);
}

/** Whether the card is in it as it was put there. */
export function isPlugged(card: Link | undefined, bridge: string): boolean {
  return card?.port?.bridge === bridge && !card.port.learning;
}

/** Lets go of the card; repeatable. Errors: `command-failed`. */
export async function removeOwnBridge({ names }: TwoCardsPlan, board: BoardName): Promise<void> {
  const bridge = names.card(board, "bridge");
  if ((await links()).has(bridge)) await run("ip", ["link", "delete", "dev", bridge]);
}

/** No address of its own, and no answers for the host's others. */
async function silence(card: string, set: (setting: string, value: string) => Promise<void>): Promise<void> {
  await set(`net/ipv4/conf/${card}/arp_ignore`, "8");
  const ipv6 = `net/ipv6/conf/${card}/disable_ipv6`;
  if (await hasSetting(ipv6)) await set(ipv6, "1");
}
