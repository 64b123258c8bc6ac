/**
 * The gate: rules of the bridge family by which one of two boards with the same MAC address and addresses hears (`rx`), and may speak
 * (`tx`). Both are ports of bridges, of one or of one each; frames between them and everybody else pass here, whatever protocol they are of, with a VLAN tag or
 * without. Texts of sets, chains and transactions. Pure. Sources: nft(8), and net/bridge/br_netfilter_hooks.c for the order of hooks.
 */
import { type BoardName, boardNames } from "../../board/board.ts";
import { ipv6ToNumber } from "../../system/ipv6-address.ts";
import type { SystemNames } from "../../system/names.ts";
import { askDouble, type Doubles, doubleChains, heardByDouble } from "./gate-double.ts";
import { addresses6Of, type SharedIdentity } from "./identity.ts";
import { cardsOf, set } from "./register.ts";

export const gateFamily = "bridge";
/**
 * Of the hooks behind the first. Before br_netfilter's (0), which goes on behind itself and passes over whatever else has its priority
 * (net/bridge/br_netfilter_hooks.c, `br_nf_hook_thresh`).
 */
const priority = -200;

/**
 * Bits of a frame's mark in which stands whose it is. It is said once, as the frame comes in: a frame for all ports is copied for each, and
 * a takeover between two copies would make both boards hear it, or neither. The bits are no one's before and after the bridge.
 */
const turnBits = { a: 0x4000_0000, b: 0x8000_0000 } as const satisfies Record<BoardName, number>;
const turnMask = hex(turnBits.a | turnBits.b);
const unturned = `meta mark set meta mark & ${hex(~(turnBits.a | turnBits.b))}`;

/** For how long after a takeover the old board may still speak, and hear what is for it alone. The kernel ends it, whatever becomes of the daemon. */
export interface Linger {
  readonly speaksMs: number;
  readonly hearsMs: number;
}

/** How long the answer to a standby's question for a neighbour may take: kernels ask again after a second (RFC 4861, RetransTimer). */
const answerTimeoutMs = 1000;
/** A standby that asks for more neighbours than this has gone astray. */
const questions = "limit rate 100/second burst 100 packets";
/** What is done with a question. */
const asks = `${questions} update @asked { iifname timeout ${answerTimeoutMs}ms } accept`;
/** How long it is remembered where somebody else sent with the boards' MAC address. */
const strangerTimeoutMs = 60_000;

/** Sets that takeovers change, as they are while things stand so. */
export function gateElements(names: SystemNames, holder: BoardName | null): string {
  const cards = cardsOf(names, holder);
  return [
    ...["rx", "tx", "late"].map((name) =>
      set(name, "ifname", name === "late" ? [] : cards, "flags timeout; "),
    ),
    `map turn { type mark : verdict; ${holder === null ? "" : `elements = { ${turnOf(holder)} }; `}}`,
  ].join("\n");
}

/** The map's one key is the mark's bits, which are none yet. */
function turnOf(holder: BoardName): string {
  return `0 : goto turn_${holder}`;
}

/** As `WiringTable.follows`. */
export function gateFollows(names: SystemNames, holder: BoardName): Record<string, string> {
  const card = names.card(holder, "service");
  return { rx: card, tx: card, turn: `turn_${holder}` };
}

/** What a takeover changes in the gate. One that comes while an earlier one's old board lingers ends that one's lingering. */
export function gateTakeover(
  names: SystemNames,
  from: BoardName | null,
  to: BoardName | null,
  { speaksMs, hearsMs }: Linger,
): string[] {
  const old = from === to ? null : from;
  const turn = `${gateFamily} ${names.table} turn`;
  return [
    `flush map ${turn}`,
    ...(to === null ? [] : [`add element ${turn} { ${turnOf(to)} }`]),
    ...side(names, "rx", to, null, 0),
    ...side(names, "late", null, old, hearsMs),
    ...side(names, "tx", to, old, speaksMs),
  ];
}

/** Ends whatever lingers. */
export function gateShut(names: SystemNames, holder: BoardName | null): string[] {
  return gateTakeover(names, null, holder, { speaksMs: 0, hearsMs: 0 });
}

function side(
  names: SystemNames,
  name: "rx" | "tx" | "late",
  holder: BoardName | null,
  old: BoardName | null,
  lingerMs: number,
): string[] {
  const at = `${gateFamily} ${names.table} ${name}`;
  return [
    `flush set ${at}`,
    ...cardsOf(names, holder).map((card) => `add element ${at} { ${card} }`),
    ...cardsOf(names, lingerMs > 0 ? old : null).map(
      (card) => `add element ${at} { ${card} timeout ${lingerMs}ms }`,
    ),
  ];
}

/** What follows from how many wires the boards are on. */
export interface GateKind {
  /**
   * Whom a board that does not hold may ask for its neighbours: without their answers it would begin its time in service by waiting for
   * these. Asking the neighbours themselves shows the MAC address to the wire, and must not where that leads the outside to another card.
   */
  readonly standbyAsks: "neighbours" | Doubles;
  /** Whether a frame with the boards' MAC address that did not come from a board is somebody else's, or may be the other board's. */
  readonly strangers: "told" | "expected";
}

/** Chains and constant sets. */
export function gateRules(
  names: SystemNames,
  identity: SharedIdentity,
  { standbyAsks, strangers }: GateKind,
): string {
  const { mac } = identity;
  const doubles = standbyAsks === "neighbours" ? undefined : standbyAsks;
  const cards = boardNames.flatMap((board) => cardsOf(names, board)).join(", ");
  return `
set boards { type ifname; elements = { ${cards} }; }
# boards that asked for a neighbour a moment ago: a dormant one asks nothing, so nothing waits for it to wake
set asked { type ifname; size 16; flags dynamic,timeout; }
# cards behind which somebody else sends with the boards' MAC address
set strangers { type ifname; size 64; flags dynamic,timeout; }
chain speak {
  type filter hook prerouting priority -300; policy accept;
  iifname != @boards ether saddr ${mac} ${strangers === "told" ? remembered : ""} drop
  iifname != @boards jump choose
  iifname != @boards ${doubles === undefined ? "accept" : "goto outside"}
  iifname @tx accept
  goto ask
}
chain choose {
  ${unturned}
  meta mark & ${turnMask} vmap @turn
}
${boardNames.map((board) => `chain turn_${board} { meta mark set meta mark | ${hex(turnBits[board])}; }`).join("\n")}
chain ask {
  ether saddr != ${mac} drop
  ${doubles === undefined ? askNeighbours(identity) : askDouble(asks)}
  drop
}
${doubles === undefined ? "" : doubleChains(doubles)}
chain hear {
  type filter hook forward priority ${priority}; policy accept;
  ${doubles === undefined ? "" : heardByDouble}
  iifname @boards oifname @boards drop
  oifname @boards goto hear_turn
  # no port is known for the boards' address, so it goes to all
  ether daddr ${mac} drop
  ${unturned}
}
chain hear_turn {
${boardNames.map((board) => `  meta mark & ${turnMask} == ${hex(turnBits[board])} oifname { ${cardsOf(names, board).join(", ")} } accept`).join("\n")}
  meta mark & ${turnMask} != 0 goto aside
  goto admit
}
chain host {
  type filter hook input priority ${priority - 2}; policy accept;
  ${unturned}
}
chain hear_host {
  type filter hook output priority ${priority}; policy accept;
  oifname @boards goto admit
  ether daddr ${mac} drop
}
chain admit {
  oifname @rx accept
  goto aside
}
chain aside {
  oifname @late ether daddr ${mac} accept
  ${doubles === undefined ? admitAnswers(mac) : ""}
  drop
}`;
}

/** A stranger's frame is dropped before the bridge learns that the way to the boards leads there, and this remains of it. */
const remembered = `update @strangers { iifname timeout ${strangerTimeoutMs}ms }`;

/** As a port of a bridge a board's card is none of the host's; out of it, the host would hear the board past the gate. Of the inet family. */
export const strayRules = `
chain strays {
  type filter hook prerouting priority raw; policy accept;
  iifname @cards drop
}`;

function hex(bits: number): string {
  return `0x${(bits >>> 0).toString(16).padStart(8, "0")}`;
}

function admitAnswers(mac: string): string {
  return `oifname != @asked drop
  ether daddr != ${mac} drop
  meta protocol arp arp operation reply accept
  meta protocol ip6 icmpv6 type nd-neighbor-advert accept`;
}

/** Questions for neighbours, in its own name and not for itself, are all that a standby may say (RFC 826; RFC 4861, section 4.3). */
function askNeighbours(identity: SharedIdentity): string {
  const { mac, ipv4 } = identity;
  const own6 = addresses6Of(identity);
  const arp =
    ipv4 === undefined
      ? ""
      : `meta protocol arp arp operation request arp saddr ether ${mac} arp saddr ip ${ipv4} arp daddr ip != ${ipv4} ${asks}`;
  // The address that is asked for stands 8 bytes into the message.
  const target = `@th,64,128 != { ${own6.map((address) => `0x${ipv6ToNumber(address).toString(16)}`).join(", ")} }`;
  return `${arp}
  meta protocol ip6 ip6 saddr { ${own6.join(", ")} } icmpv6 type nd-neighbor-solicit ${target} ${asks}`;
}
