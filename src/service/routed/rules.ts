/**
 * The rules: chains of the system's table of the inet family, beside its register, loaded once. Whatever changes afterwards is an element
 * of its sets and maps (`elements.ts`); the order of a packet's way through the chains is the order in which they stand here.
 */
import { boardNames } from "../../board/board.ts";
import { solicitedNode } from "../../system/ipv6-address.ts";
import { type Family, ipv6 } from "../network/family.ts";
import { flowRules, setMark } from "./flow-rules.ts";
import type { Opened } from "./forwarding.ts";
import { hex, marksIn } from "./marks.ts";
import { linkedFamilies, linksOf, type RoutedPlan } from "./plan.ts";
import { statelessPass, statelessRules } from "./stateless-rules.ts";

/**
 * Chains and constant sets of the table.
 * @param opened what the host passes on only because it was told to for the boards' sake, family by family.
 */
export function rulesFor(plan: RoutedPlan, opened: Readonly<Record<Family["name"], Opened>>): string {
  const families = linkedFamilies(plan).map(({ family }) => family);
  return [
    guard(plan, families),
    fence(plan, families, opened),
    flowRules(plan),
    ...families.map((family) => statelessRules(plan, family)),
  ].join("\n");
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
chain speak {
  type filter hook prerouting priority raw; policy accept;
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

/** Who may send what to whom: a board may answer for its service, may begin flows while it holds, and reaches nothing else. */
function fence(
  plan: RoutedPlan,
  families: readonly Family[],
  opened: Readonly<Record<Family["name"], Opened>>,
): string {
  const uplink = quoted(plan.uplink);
  const { mask, serviceMask, outgoingBit, boardMark } = marksIn(plan.markMask);
  const begun = boardNames.map((board) => {
    const card = quoted(plan.names.card(board, "service"));
    return `iifname ${card} iifname @holder ct state new ${setMark(mask, boardMark[board] | outgoingBit)} accept`;
  });
  const passing = (way: "to" | "from"): string =>
    families
      .map((family) => statelessPass(plan, family, way))
      .filter((rules) => rules !== "")
      .join("\n  ");
  return `
chain forward {
  type filter hook forward priority filter; policy accept;
  iifname @cards goto from_board
  oifname @cards goto to_board
  ${families.map(({ name }) => strangers(name, opened[name], uplink)).join("\n  ")}
}
chain from_board {
  oifname @cards drop
  ct mark & ${hex(serviceMask)} != 0 goto service_answer
  ct mark & ${hex(outgoingBit)} != 0 ct state established,related accept
  oifname != ${uplink} drop
  ${passing("from")}
  ${begun.join("\n  ")}
  meta l4proto tcp reject with tcp reset
  drop
}
chain to_board {
  ${passing("to")}
  ct mark & ${hex(serviceMask)} != 0 goto service_request
  ct mark & ${hex(outgoingBit)} == 0 drop
  oifname @holder ct state established,related accept
  oifname @draining ct state established,related accept
  meta l4proto tcp reject with tcp reset
  drop
}
chain input {
  type filter hook input priority filter; policy accept;
  iifname @cards goto answer_to_host
}
chain answer_to_host {
  ct mark & ${hex(serviceMask)} != 0 goto service_answer
  ct direction reply ct state established,related accept
  ${passing("from")}
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

function addressesOf(plan: RoutedPlan, family: Family): string {
  return boardNames.map((board) => linksOf(plan, family)[board]).join(", ");
}

function quoted(name: string): string {
  return `"${name}"`;
}
