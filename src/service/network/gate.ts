/**
 * The gate: rules of the bridge family by which one of two boards with the same MAC address and addresses is heard (`rx`), and may speak
 * (`tx`). Both are ports of bridges; frames between them and everybody else pass here, whatever protocol they are of, with a VLAN tag or
 * without. Texts of sets, chains and transactions. Pure. Sources: nft(8), and net/bridge/br_netfilter_hooks.c for the order of hooks.
 */
import { type BoardName, boardNames } from "../../board/board.ts";
import { ipv6ToNumber } from "../../system/ipv6-address.ts";
import type { SystemNames } from "../../system/names.ts";
import { addresses6Of, type SharedIdentity } from "./identity.ts";
import { cardsOf, set } from "./register.ts";

export const gateFamily = "bridge";

/** For how long after a takeover the old board may still speak and hear. The kernel ends it, whatever becomes of the daemon. */
export interface Linger {
  readonly speaksMs: number;
  readonly hearsMs: number;
}

/** How long the answer to a standby's question for a neighbour may take: kernels ask again after a second (RFC 4861, RetransTimer). */
const answerTimeoutMs = 1000;
/** A standby that asks for more neighbours than this has gone astray. */
const questions = "limit rate 100/second burst 100 packets";
/** How long it is remembered where somebody else sent with the boards' MAC address. */
const strangerTimeoutMs = 60_000;

/**
 * Before br_netfilter, which leads frames with IP past the host's rules from 0 on, and after them leaves out rules that stand at 0 (seen with Linux
 * 6.1): both boards heard.
 */
const priority = -200;

/** Sets that takeovers change, as they are while things stand so. */
export function gateElements(names: SystemNames, holder: BoardName | null): string {
  const cards = cardsOf(names, holder);
  return ["rx", "tx"].map((name) => set(name, "ifname", cards, "flags timeout; ")).join("\n");
}

/** What a takeover changes in the gate. One that comes while an earlier one's old board lingers ends that one's lingering. */
export function gateTakeover(
  names: SystemNames,
  from: BoardName | null,
  to: BoardName,
  { speaksMs, hearsMs }: Linger,
): string[] {
  const old = from === to ? null : from;
  return [...side(names, "rx", to, old, hearsMs), ...side(names, "tx", to, old, speaksMs)];
}

/** Ends whatever lingers. */
export function gateShut(names: SystemNames, holder: BoardName | null): string[] {
  return [...side(names, "rx", holder, null, 0), ...side(names, "tx", holder, null, 0)];
}

function side(
  names: SystemNames,
  name: "rx" | "tx",
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
   * Whether a board that does not hold may ask for its neighbours and hear their answers: without them it would begin its time in service
   * by waiting for these. Asking shows the MAC address to the wire, and must not where that leads the outside to another card.
   */
  readonly standbyAsks: boolean;
  /** Whether a frame with the boards' MAC address that did not come from a board is somebody else's, or one that came back. */
  readonly refuseStrangers: boolean;
}

/** Chains and constant sets. */
export function gateRules(
  names: SystemNames,
  identity: SharedIdentity,
  { standbyAsks, refuseStrangers }: GateKind,
): string {
  const { mac } = identity;
  const cards = boardNames.flatMap((board) => cardsOf(names, board)).join(", ");
  return `
set boards { type ifname; elements = { ${cards} }; }
# boards that asked for a neighbour a moment ago: a dormant one asks nothing, so nothing waits for it to wake
set asked { type ifname; size 16; flags dynamic,timeout; }
# cards behind which somebody else sends with the boards' MAC address
set strangers { type ifname; size 64; flags dynamic,timeout; }
chain speak {
  type filter hook prerouting priority -300; policy accept;
  ${refuseStrangers ? stranger(mac) : ""}
  iifname != @boards accept
  iifname @tx accept
  ${standbyAsks ? "goto ask" : "drop"}
}
${standbyAsks ? ask(identity) : ""}
chain hear {
  type filter hook forward priority ${priority}; policy accept;
  iifname @boards oifname @boards drop
  oifname @boards goto admit
  # no port is known for the boards' address, so it goes to all
  ether daddr ${mac} drop
}
chain hear_host {
  type filter hook output priority ${priority}; policy accept;
  oifname @boards goto admit
  ether daddr ${mac} drop
}
chain admit {
  oifname @rx accept
  oifname != @asked drop
  ether daddr != ${mac} drop
  meta protocol arp arp operation reply accept
  meta protocol ip6 icmpv6 type nd-neighbor-advert accept
  drop
}`;
}

/** Dropped before the bridge learns that the way to the boards leads there. */
function stranger(mac: string): string {
  const where = `@strangers { iifname timeout ${strangerTimeoutMs}ms }`;
  return `iifname != @boards ether saddr ${mac} update ${where} drop`;
}

/** Questions for neighbours, in its own name and not for itself, are all that a standby may say (RFC 826; RFC 4861, section 4.3). */
function ask(identity: SharedIdentity): string {
  const { mac, ipv4 } = identity;
  const own6 = addresses6Of(identity);
  const pass = `${questions} update @asked { iifname timeout ${answerTimeoutMs}ms } accept`;
  const arp =
    ipv4 === undefined
      ? ""
      : `meta protocol arp arp operation request arp saddr ether ${mac} arp saddr ip ${ipv4} arp daddr ip != ${ipv4} ${pass}`;
  // The address that is asked for stands 8 bytes into the message.
  const target = `@th,64,128 != { ${own6.map((address) => `0x${ipv6ToNumber(address).toString(16)}`).join(", ")} }`;
  return `chain ask {
  ether saddr != ${mac} drop
  ${arp}
  meta protocol ip6 ip6 saddr { ${own6.join(", ")} } icmpv6 type nd-neighbor-solicit ${target} ${pass}
  drop
}`;
}
