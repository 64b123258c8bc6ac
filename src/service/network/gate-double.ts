/**
 * What a standby may say where it must not be seen on its wire at all: it asks doubles of its gateways, which the host has for it behind a
 * port of that board's bridge, and they answer as the gateways would. Texts of chains of the gate; pure.
 */

export interface Doubles {
  /** Ports behind which doubles are. */
  readonly ports: readonly string[];
  /** Gateways whose MAC addresses are learned from what they say, into the sets `gateway4` and `gateway6`. */
  readonly ipv4?: string | undefined;
  readonly ipv6?: string | undefined;
  /** Ports of bridges on which the host itself neither hears nor speaks. */
  readonly sealed: readonly string[];
}

/** A gateway says something more often than this, if anybody uses it. */
const learnedTimeout = "1h";

/** Statements of the chain that judges what a standby says: questions for neighbours, and whether the gateway is there. */
export function askDouble(pass: string): string {
  return `meta protocol arp ${pass}
  meta protocol ip icmp type echo-request ${pass}
  meta protocol ip6 icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, echo-request } ${pass}`;
}

/** Statements of the chain `hear`, before all others: what passes between a standby and its double, and nobody else. */
export const heardByDouble = `iifname @doubles oifname @asked oifname != @rx oifname != @late accept
  iifname @doubles drop
  iifname @boards iifname != @tx oifname @doubles accept
  iifname @boards iifname != @tx drop
  oifname @doubles drop`;

/** Sets and chains. */
export function doubleChains({ ports, ipv4, ipv6, sealed }: Doubles): string {
  return `
set doubles { type ifname; elements = { ${list(ports)} }; }
set sealed { type ifname; ${sealed.length === 0 ? "" : `elements = { ${list(sealed)} }; `}}
set gateway4 { type ether_addr; size 16; flags dynamic,timeout; }
set gateway6 { type ether_addr; size 16; flags dynamic,timeout; }
chain outside {
  iifname @doubles accept
  ${ipv4 === undefined ? "" : `meta protocol arp arp saddr ip ${ipv4} update @gateway4 { arp saddr ether timeout ${learnedTimeout} }`}
  ${ipv6 === undefined ? "" : `meta protocol ip6 ip6 saddr ${ipv6} icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } update @gateway6 { ether saddr timeout ${learnedTimeout} }`}
  accept
}
chain heard_by_host {
  type filter hook input priority -200; policy accept;
  iifname @doubles drop
  iifname @boards iifname != @tx drop
  iifname @sealed drop
}
chain said_by_host {
  type filter hook output priority -201; policy accept;
  oifname @sealed drop
  oifname @doubles drop
}`;
}

function list(cards: readonly string[]): string {
  return cards.map((card) => `"${card}"`).join(", ");
}
