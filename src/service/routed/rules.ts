/**
 * The rules: one table of the inet family, loaded once. Whatever changes afterwards is an element of its sets and maps
 * (`elements.ts`); the order of a packet's way through the chains is the order in which they stand here.
 */
import { createHash } from "node:crypto";
import { boardNames } from "../../board/board.ts";
import { solicitedNode } from "../../system/ipv6-address.ts";
import { type Family, ipv6 } from "./family.ts";
import type { Opened } from "./forwarding.ts";
import {
  boardEndBit,
  boardMark,
  clientEndBit,
  closedBit,
  hex,
  outgoingBit,
  requestBit,
  serviceMark,
  serviceMask,
  without,
} from "./marks.ts";
import { linkedFamilies, linksOf, type RoutedPlan, servicesOf } from "./plan.ts";

export interface Rules {
  /** Chains and constant sets, without the braces of the table. */
  readonly text: string;
  /** 32 bits that tell these rules from others; kept as an element, so that the kernel says which rules it runs. */
  readonly digest: number;
}

/** `opened`: what the host passes on only because it was told to for the boards' sake, family by family. */
export function rulesFor(plan: RoutedPlan, opened: Readonly<Record<Family["name"], Opened>>): Rules {
  const { names } = plan;
  const service = boardNames.map((board) => quoted(names.card(board, "service"))).join(", ");
  const mgmt = boardNames.map((board) => quoted(names.card(board, "mgmt"))).join(", ");
  const families = linkedFamilies(plan).map(({ family }) => family);
  const text = [
    `set cards { type ifname; elements = { ${service} }; }`,
    `set mgmt { type ifname; elements = { ${mgmt} }; }`,
    guard(plan, families),
    ...families.flatMap((family) => [probes(plan, family), steering(plan, family)]),
    fence(plan, families, opened),
    serviceFlow(plan, families),
    segments(families),
  ].join("\n");
  const digest = createHash("sha256").update(text).digest().readUInt32BE(0);
  return { text, digest };
}

/**
 * A board that neither holds nor drains says nothing, before the kernel even looks a flow up, and none speaks for another.
 * Nor does it hear anything, whatever another rule let pass. By name of card, so that it holds before the card exists.
 */
function guard(plan: RoutedPlan, families: readonly Family[]): string {
  const own = (family: Family): string =>
    boardNames
      .map((board) => `${quoted(plan.names.card(board, "service"))} . ${linksOf(plan, family)[board]}`)
      .join(", ");
  const neighbours = families.includes(ipv6) ? neighbourRules(plan) : { speak: "", hear: "" };
  return `
chain own_speak {
  iifname @holder accept
  iifname @draining accept
  drop
}
chain mgmt_speak {
  ip6 saddr { ::, fe80::/10 } accept
  drop
}
chain speak {
  type filter hook prerouting priority raw; policy accept;
  iifname @mgmt goto mgmt_speak
  iifname != @cards accept
  ${neighbours.speak}
  ${families.map((family) => `iifname . ${family.header} saddr { ${own(family)} } goto own_speak`).join("\n  ")}
  drop
}
chain hear {
  type filter hook postrouting priority filter; policy accept;
  oifname != @cards accept
  ${neighbours.hear}
  oifname @holder accept
  oifname @draining accept
  drop
}`;
}

/**
 * Every board may ask for the host's end of its own link, which IPv4's boards do by ARP, past these rules: one that could not would
 * begin its time in service by waiting for the answer (RFC 4861, section 7.2.2). It hears that answer and no other.
 */
function neighbourRules(plan: RoutedPlan): { readonly speak: string; readonly hear: string } {
  const { names } = plan;
  const links = linksOf(plan, ipv6);
  const askers = boardNames.flatMap((board) => {
    const card = quoted(names.card(board, "service"));
    return [`${card} . ${links[board]}`, `${card} . ${names.linkLocal(board, "service")}`];
  });
  const asked = `ip6 daddr { ${links.host}, ${solicitedNode(links.host)} }`;
  return {
    speak: `icmpv6 type nd-neighbor-solicit ${asked} iifname . ip6 saddr { ${askers.join(", ")} } accept`,
    hear: `icmpv6 type nd-neighbor-advert ip6 saddr ${links.host} accept`,
  };
}

/** The SYN with which a cut asks a client about its flow is not of that flow (cut.ts). */
function probes(plan: RoutedPlan, family: Family): string {
  const ends = servicesOf(plan, family).map(({ service: { address, port } }) => `${address} . ${port}`);
  if (ends.length === 0) return "";
  return `
chain probes${family.suffix} {
  type filter hook output priority raw; policy accept;
  tcp flags & (syn | ack | rst) == syn ${family.header} saddr . tcp sport { ${ends.join(", ")} } notrack
}`;
}

/** New flows get the number of their service, then the holder as their destination; the host's own clients alike. */
function steering(plan: RoutedPlan, family: Family): string {
  const key = `${family.header} daddr . meta l4proto . th dport`;
  const numbers = servicesOf(plan, family).map(
    ({ service: { address, protocol, port }, index }) =>
      `${address} . ${protocol} . ${port} : ${hex(serviceMark(index))}`,
  );
  const number = `ct state new ct mark set ${key} map @numbers${family.suffix}`;
  const steer = `dnat ${family.header} to ${key} map @services${family.suffix}`;
  return `
map numbers${family.suffix} {
  type ${family.addressType} . inet_proto . inet_service : mark
  ${numbers.length === 0 ? "" : `elements = { ${numbers.join(", ")} }`}
}
chain number${family.suffix} {
  type filter hook prerouting priority mangle; policy accept;
  iifname != @cards ${number}
}
chain number_own${family.suffix} {
  type filter hook output priority mangle; policy accept;
  ${number}
}
chain steer${family.suffix} {
  type nat hook prerouting priority dstnat; policy accept;
  iifname != @cards ${steer}
}
chain steer_own${family.suffix} {
  type nat hook output priority -100; policy accept;
  ${steer}
}
chain leave${family.suffix} {
  type nat hook postrouting priority srcnat; policy accept;
  oifname ${quoted(plan.uplink)} ${family.header} saddr { ${addressesOf(plan, family)} } masquerade
}`;
}

/** Who may send what to whom: a board may answer for its service, may begin flows while it holds, and reaches nothing else. */
function fence(
  plan: RoutedPlan,
  families: readonly Family[],
  opened: Readonly<Record<Family["name"], Opened>>,
): string {
  const uplink = quoted(plan.uplink);
  const begun = boardNames
    .map((board) => `${quoted(plan.names.card(board, "service"))} : ${hex(boardMark[board] | outgoingBit)}`)
    .join(", ");
  return `
chain forward {
  type filter hook forward priority filter; policy accept;
  iifname @mgmt drop
  oifname @mgmt drop
  iifname @cards goto from_board
  oifname @cards goto to_board
  ${families.map(({ name }) => strangers(name, opened[name], uplink)).join("\n  ")}
}
chain from_board {
  oifname @cards drop
  ct mark & ${hex(serviceMask)} != 0 goto service_answer
  ct mark & ${hex(outgoingBit)} != 0 ct state established,related accept
  oifname != ${uplink} drop
  iifname @holder ct state new ct mark set iifname map { ${begun} } accept
  meta l4proto tcp reject with tcp reset
  drop
}
chain to_board {
  ct mark & ${hex(serviceMask)} != 0 goto service_request
  ct mark & ${hex(outgoingBit)} == 0 drop
  oifname @holder ct state established,related accept
  oifname @draining ct state established,related accept
  meta l4proto tcp reject with tcp reset
  drop
}
chain input {
  type filter hook input priority filter; policy accept;
  iifname @mgmt goto from_mgmt
  iifname @cards goto answer_to_host
}
chain from_mgmt {
  ct direction reply ct state established,related accept
  icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
  drop
}
chain answer_to_host {
  ct mark & ${hex(serviceMask)} != 0 goto service_answer
  ct direction reply ct state established,related accept
  ${families.includes(ipv6) ? "# what `speak` let pass\n  icmpv6 type nd-neighbor-solicit accept" : ""}
  drop
}
chain output {
  type filter hook output priority filter; policy accept;
  # resets that the rules here send
  ct state related accept
  # not by card: in this hook the kernel still names the card of before the steering
  ${families.map((family) => `${family.header} daddr { ${addressesOf(plan, family)} } ct mark & ${hex(serviceMask)} != 0 goto service_request`).join("\n  ")}
}`;
}

/** What the host did not pass on before, it does not pass on now. */
function strangers(family: Family["name"], opened: Opened, uplink: string): string {
  if (opened === "nothing") return "";
  return `meta nfproto ${family} ${opened === "uplink" ? `iifname ${uplink} ` : ""}drop`;
}

/** Flows of a service, packet by packet. A flow whose deadline has passed (K) is answered by resets at both ends. */
function serviceFlow(plan: RoutedPlan, families: readonly Family[]): string {
  const owners = families.flatMap((family) =>
    boardNames.map((board) => {
      const address = linksOf(plan, family)[board];
      return `ct state new ${family.header} daddr ${address} ct mark set ct mark | ${hex(boardMark[board])}`;
    }),
  );
  const cut = `ct mark & ${hex(serviceMask | 0xff00)} @cut ct mark set ct mark | ${hex(closedBit)}`;
  const closed = `ct mark & ${hex(closedBit)} != 0`;
  return `
chain service_request {
  ${owners.join("\n  ")}
  meta l4proto != tcp accept
  ${cut}
  ${closed} goto closed_request
  goto segment
}
chain closed_request {
  tcp flags & rst == rst ct mark set ct mark | ${hex(clientEndBit)}
  # the client knows the flow no more; as a SYN its reset makes the board say where it stands, and the board's reset exact
  tcp flags & rst == rst tcp flags set syn accept
  # the client begins anew from the same port: this SYN makes the board speak, the next one finds the flow forgotten
  tcp flags & (syn | ack) == syn ct mark set ct mark | ${hex(clientEndBit)} accept
  reject with tcp reset
}
chain service_answer {
  meta l4proto != tcp accept
  ${cut}
  ${closed} goto closed_answer
  goto segment
}
chain closed_answer {
  ct mark set ct mark | ${hex(boardEndBit)}
  reject with tcp reset
}`;
}

/**
 * R follows the segments that carry data. Whether one does is told by its length and the length of its TCP header; a chain for
 * each length, because `tcp doff . meta length` in one expression makes `nft list` of 1.0.6 abort.
 */
function segments(families: readonly Family[]): string {
  const words = Array.from({ length: 11 }, (_, index) => index + 5);
  const lengths = families.map((family) => {
    const pairs = words.map((doff) => `${family.headerBytes + 4 * doff} : goto header${doff}`);
    return `  meta nfproto ${family.name} meta length vmap { ${pairs.join(", ")} }`;
  });
  return `
chain data {
  ct direction original ct mark set ct mark | ${hex(requestBit)}
  ct direction reply ct mark set ct mark & ${without(requestBit)}
  accept
}
${words.map((doff) => `chain header${doff} {\n  tcp doff ${doff} accept\n  goto data\n}`).join("\n")}
chain segment {
  tcp flags & (fin | syn | rst) != 0 accept
${lengths.join("\n")}
  goto data
}`;
}

function addressesOf(plan: RoutedPlan, family: Family): string {
  return boardNames.map((board) => linksOf(plan, family)[board]).join(", ");
}

function quoted(name: string): string {
  return `"${name}"`;
}
