/**
 * The double of a board's gateways: a network namespace behind a port of that board's bridge, with their MAC addresses and their addresses. A
 * standby, which must not be seen on its wire, finds its gateways there, and when it takes over it knows them already. The gate opens it to
 * a standby alone, and to nobody outside. Sources: veth(4), ip-link(8), ip-netns(8).
 */
import type { BoardName } from "../../board/board.ts";
import { links, setLink, setLinks } from "../../system/links.ts";
import { addNamespace, deleteNamespace, ipBatchIn, ipIn, writeSettingsIn } from "../../system/netns.ts";
import { run } from "../../system/process.ts";
import { families, type GatewayMacs } from "./gateways.ts";
import type { Gateways, TwoCardsPlan } from "./plan.ts";

/** Cards inside: the end of the pair, and one more on top of it where the gateways are two machines. */
const inside = { first: "gw", second: "gw6" } as const;
const portWords = ["up", "type", "bridge_slave", "learning", "off", "flood", "on", "mcast_flood", "on"];

/** A card of the double. */
export interface DoubleCard {
  readonly mac: string;
  /** With their prefixes. */
  readonly addresses: readonly string[];
}

/** What the double is to be, of what is known of the gateways: one card, two, or none. Pure. */
export function doubleCards(gateways: Gateways, macs: GatewayMacs): DoubleCard[] {
  const cards: DoubleCard[] = [];
  for (const family of families) {
    const [gateway, mac] = [gateways[family], macs[family]];
    if (gateway === undefined || mac === undefined) continue;
    const address = `${gateway.address}/${gateway.prefixLength}`;
    const same = cards.findIndex((card) => card.mac === mac);
    if (same === -1) cards.push({ mac, addresses: [address] });
    else cards[same] = { mac, addresses: [...(cards[same]?.addresses ?? []), address] };
  }
  return cards;
}

/** Makes the double so, as a port of the bridge. Repeatable. Errors: `command-failed`. */
export async function makeDouble(
  { names }: TwoCardsPlan,
  board: BoardName,
  bridge: string,
  cards: readonly DoubleCard[],
  signal: AbortSignal,
): Promise<void> {
  const [first, second] = cards;
  if (first === undefined) return;
  const [port, namespace] = [names.card(board, "double"), namespaceOf(names.card(board, "double"))];
  await addNamespace(namespace, signal);
  // Of two cards each answers for its own address.
  await writeSettingsIn(namespace, [["net/ipv4/conf/all/arp_ignore", "1"]], signal);
  const link = (await links()).get(port);
  if (link === undefined) {
    const peer = ["peer", "name", inside.first, "netns", namespace];
    await run("ip", ["link", "add", "name", port, "type", "veth", ...peer], { signal });
    const mtu = String((await links()).get(bridge)?.mtu ?? 1500);
    // A bridge takes over the lowest MAC address of its ports, unless it was given its own.
    const mac = names.mac(board, "mgmt").replace(/^../, "fe");
    await setLink(port, ["addrgenmode", "none", "mtu", mtu, "address", mac], signal);
  }
  const joined = link?.port?.bridge === bridge;
  // With what it learned before it was told not to, the bridge would lead the board to the double for ever.
  const joining = [["master", bridge], portWords, ["type", "bridge_slave", "fdb_flush"]];
  const changes = (joined ? [portWords] : joining).map((words) => [port, words] as const);
  await setLinks(changes, signal);
  await become(namespace, inside.first, first, signal);
  if (second === undefined) return;
  const top = [
    "link",
    "add",
    "name",
    inside.second,
    "link",
    inside.first,
    "type",
    "macvlan",
    "mode",
    "bridge",
  ];
  if (!(await ipIn(namespace, ["-oneline", "link", "show"], signal)).includes(` ${inside.second}@`))
    await ipIn(namespace, top, signal);
  await become(namespace, inside.second, second, signal);
}

/** Removes it; repeatable. Errors: `command-failed`. */
export async function removeDouble({ names }: TwoCardsPlan, board: BoardName): Promise<void> {
  const port = names.card(board, "double");
  if ((await links()).has(port)) await run("ip", ["link", "delete", "dev", port]);
  await deleteNamespace(namespaceOf(port));
}

/** The card says nothing by itself: it has no address but those that it is given, and asks nobody for routers. */
async function become(
  namespace: string,
  card: string,
  { mac, addresses }: DoubleCard,
  signal: AbortSignal,
): Promise<void> {
  const lines = [
    `address flush dev ${card}`,
    `link set dev ${card} addrgenmode none address ${mac} up`,
    ...addresses.map(
      (address) => `address add ${address} dev ${card} ${address.includes(":") ? "nodad" : ""}`,
    ),
  ];
  await ipBatchIn(namespace, lines, signal);
}

function namespaceOf(port: string): string {
  return `twinboard-${port}`;
}
