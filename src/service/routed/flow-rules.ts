/**
 * The rules for the flows of services, packet by packet: they number and steer what is new, keep in each flow's mark where its two
 * ends stand (`marks.ts`), and answer for both ends of a flow that was closed (K).
 *
 * Between two requests the kernel itself decides whether a flow may be closed: only a segment without data that passes while no
 * request is outstanding closes it, and only if the flow stands in the set `closing` (`close.ts`). A request that comes first wins.
 */
import { type BoardName, boardNames } from "../../board/board.ts";
import { type Family, familyOf } from "../network/family.ts";
import { hex, type Marks, marksIn, without } from "./marks.ts";
import { linkedFamilies, linksOf, portsOf, type RoutedPlan, rangeFlag, servicesOf } from "./plan.ts";
import { askedFromPorts } from "./probe-ports.ts";

/** How long a flow that was asked for its end may still be closed by what it answers. */
export const closingTimeoutMs = 2000;

/** Of a TCP header, in words of 32 bits, with all lengths of options. */
const headerWords = Array.from({ length: 11 }, (_, index) => index + 5);

/** Sets, maps and chains of one table; `cards`, `holder`, `draining`, `cut` and `board` are there. */
export function flowRules(plan: RoutedPlan): string {
  const marks = marksIn(plan.markMask);
  const families = linkedFamilies(plan).map(({ family }) => family);
  return [
    ...families.flatMap((family) => [closingSets(family), probes(plan, family)]),
    numbers(plan, marks),
    ...families.map((family) => steering(plan, family)),
    requests(plan, marks, families),
    answers(marks),
    turns(marks),
    segments(marks, families),
  ].join("\n");
}

/** A flow's client and board, with their ports, as they stand on the board's wire. */
const endsFrom = (family: Family, client: "s" | "d", board: "s" | "d"): string =>
  `${family.header} ${client}addr . tcp ${client}port . ${family.header} ${board}addr . tcp ${board}port`;

function closingSets({ suffix, addressType }: Family): string {
  return `
# flows that are closed unless a request comes first: client and board
set closing${suffix} {
  type ${addressType} . inet_service . ${addressType} . inet_service
  size 262144
  flags dynamic,timeout
  timeout ${closingTimeoutMs}ms
}
# in whose name a board is asked: the probe's own port, and whose address and port it takes
map asker${suffix} { type inet_service : ${addressType}; }
map asker_port${suffix} { type inet_service : inet_service; }`;
}

/** SYNs of this host into flows that exist (`probe.ts`). They are not of that flow, nor a flow of their own. */
function probes(plan: RoutedPlan, family: Family): string {
  const { suffix, header } = family;
  const tcp = servicesOf(plan, family).filter(({ service }) => service.protocol === "tcp");
  const ends = tcp.map(({ service }) => `${service.address} . ${portsOf(service)}`);
  if (ends.length === 0) return "";
  const { host, a, b } = linksOf(plan, family);
  const syn = "tcp flags & (syn | ack | rst) == syn";
  const toBoard = `${header} saddr ${host} ${header} daddr { ${a}, ${b} } tcp sport ${askedFromPorts}`;
  return `
chain probes${suffix} {
  type filter hook output priority raw; policy accept;
  ${syn} ${header} saddr . tcp sport { ${ends.join(", ")} } notrack
  ${syn} ${toBoard} ${header} saddr set tcp sport map @asker${suffix} tcp sport set tcp sport map @asker_port${suffix} notrack
}`;
}

/** A verdict map and two chains each: a map of marks would set bits that belong to others too, and a range of ports has no port to go to. */
function numbers(plan: RoutedPlan, marks: Marks): string {
  return plan.services
    .map((service, index) => {
      const { name, header } = familyOf(service.address);
      const { protocol, insidePort } = service;
      const board = `dnat ${header} to meta nfproto map @board${familyOf(service.address).suffix}`;
      const port = insidePort === undefined ? "" : ` : ${insidePort}`;
      return `
chain number_${index} { ${setMark(marks.mask, marks.serviceMark(index))}
}
chain steer_${index} { meta nfproto ${name} meta l4proto ${protocol} ${board}${port}
}`;
    })
    .join("");
}

/** New flows get the number of their service, then the holder as their destination; the host's own clients alike. */
function steering(plan: RoutedPlan, family: Family): string {
  const { suffix, header, addressType } = family;
  const key = `${header} daddr . meta l4proto . th dport`;
  const services = servicesOf(plan, family);
  const map = (what: "number" | "steer"): string => {
    const elements = services.map(
      ({ service, index }) =>
        `${service.address} . ${service.protocol} . ${portsOf(service)} : goto ${what}_${index}`,
    );
    return `
map ${what}s${suffix} {
  type ${addressType} . inet_proto . inet_service : verdict; ${rangeFlag(services.map(({ service }) => service))}
  ${elements.length === 0 ? "" : `elements = { ${elements.join(", ")} }`}
}`;
  };
  const number = `ct state new ${key} vmap @numbers${suffix}`;
  const steer = `${key} vmap @steers${suffix}`;
  const boards = boardNames.map((board) => linksOf(plan, family)[board]).join(", ");
  return `${map("number")}${map("steer")}
chain number${suffix} {
  type filter hook prerouting priority mangle; policy accept;
  iifname != @cards ${number}
}
chain number_own${suffix} {
  type filter hook output priority mangle; policy accept;
  ${number}
}
chain steer${suffix} {
  type nat hook prerouting priority dstnat; policy accept;
  iifname != @cards ${steer}
}
chain steer_own${suffix} {
  type nat hook output priority -100; policy accept;
  ${steer}
}
chain leave${suffix} {
  type nat hook postrouting priority srcnat; policy accept;
  ${plan.masquerade ? `oifname "${plan.uplink}" ${header} saddr { ${boards} } masquerade` : ""}
}`;
}

function requests(plan: RoutedPlan, marks: Marks, families: readonly Family[]): string {
  const { boardMark, clientToldBit, boardToldBit, clientGoneBit } = marks;
  const owner = (family: Family, board: BoardName): string =>
    `ct state new ${family.header} daddr ${linksOf(plan, family)[board]} ${setMark(0, boardMark[board])}`;
  const owners = families.flatMap((family) => boardNames.map((board) => owner(family, board)));
  const gone = setMark(0, clientToldBit | clientGoneBit);
  return `
chain service_request {
  ${owners.join("\n  ")}
  meta l4proto != tcp accept
  ${closing(marks)} goto closed_request
  goto segment
}
chain closed_request {
  tcp flags & rst == rst ${gone}
  # the client knows the flow no more; as a SYN its reset makes the board say where it stands, and the board's reset exact
  tcp flags & rst == rst tcp flags set syn accept
  # the client begins anew from the same port: this SYN makes the board speak if it has yet to learn, the next one finds the flow forgotten
  tcp flags & (syn | ack) == syn ${gone} ct mark & ${hex(boardToldBit)} != 0 drop
  tcp flags & (syn | ack) == syn accept
  ${setMark(0, clientToldBit)} reject with tcp reset
}`;
}

/** Of a closed flow the first segment of the board tells the client, and each one after it is answered to the board. */
function answers(marks: Marks): string {
  const { clientToldBit, boardToldBit } = marks;
  return `
chain service_answer {
  meta l4proto != tcp accept
  ${closing(marks)} goto closed_answer
  goto segment
}
chain closed_answer {
  tcp flags & syn == 0 ct mark & ${hex(clientToldBit)} == 0 ${setMark(0, clientToldBit)} tcp flags set rst accept
  ${setMark(0, boardToldBit)} reject with tcp reset
}`;
}

/** Marks what is past its deadline, or fenced, and matches every flow that is closed. */
function closing({ serviceMask, boardMask, closedBit }: Marks): string {
  const cut = `ct mark & ${hex(serviceMask | boardMask)} @cut ${setMark(0, closedBit)}`;
  return `${cut}\n  ct mark & ${hex(closedBit)} != 0`;
}

/** Bytes of a segment's payload, for nft's raw matches. */
function payload(doff: number, byte: number, bytes: number): string {
  return `@th,${8 * (4 * doff + byte)},${8 * bytes}`;
}

function clientHello(doff: number, byte: number): string {
  return `${payload(doff, byte, 2)} 0x1603 ${payload(doff, byte + 5, 1)} 1 goto hello`;
}

/**
 * A client begins to speak: a request, unless it is the handshake of TLS. What the board says after that by itself, session tickets
 * (RFC 8446, section 4.6.1) and the settings of HTTP/2 (RFC 9113, section 3.4), clears R although the first request may be on its way.
 * Three turns cover that: ClientHello, Finished, and what waited for Finished to be sent. They are told by the first segment of the
 * ClientHello, a handshake record (22, version 3, section 5.1) with a message of type 1 (section 4); the second hello that a server asked
 * for may come after a record of 6 bytes that means nothing (20, appendix D.4). One that is not one makes the flow young once more.
 */
function turns({ youngMask, youngMarks }: Marks): string {
  const [one, two, three] = youngMarks;
  const chains = headerWords.map(
    (doff) =>
      `chain hello${doff} {\n  ${clientHello(doff, 0)}\n  ${payload(doff, 0, 2)} 0x1403 ${clientHello(doff, 6)}\n}`,
  );
  const young = `ct mark & ${hex(youngMask)} ==`;
  return `
chain hello { ${setMark(youngMask, one)}
}
${chains.join("\n")}
chain turn {
  ${young} ${hex(three)} ${setMark(youngMask, 0)}
  ${young} ${hex(two)} ${setMark(youngMask, three)}
  ${young} ${hex(one)} ${setMark(youngMask, two)}
  tcp doff vmap { ${headerWords.map((doff) => `${doff} : goto hello${doff}`).join(", ")} }
}`;
}

/**
 * Whether a segment carries data is told by its length and the length of its TCP header; a chain for each length, because
 * `tcp doff . meta length` in one expression makes `nft list` of 1.0.6 abort.
 */
function segments(marks: Marks, families: readonly Family[]): string {
  const { requestBit, unheardBit, closedBit, earlyBit, clientToldBit } = marks;
  const lengths = families.map((family) => {
    const pairs = headerWords.map((doff) => `${family.headerBytes + 4 * doff} : goto header${doff}`);
    return `  meta nfproto ${family.name} meta length vmap { ${pairs.join(", ")} }`;
  });
  const early = setMark(0, closedBit | earlyBit | clientToldBit);
  const each = (rule: (family: Family) => string): string => families.map(rule).join("\n  ");
  return `
chain data {
  ct direction original ct mark & ${hex(requestBit)} == 0 jump turn
  ct direction original ${setMark(unheardBit, requestBit)} accept
  # what was quiet when it was chosen is so no more: the next pause may be one within an answer
  ${each((family) => `iifname @draining delete @closing${family.suffix} { ${endsFrom(family, "d", "s")} }`)}
  ${setMark(requestBit, unheardBit)} accept
}
chain no_data {
  ct direction reply goto no_answer
  ${setMark(unheardBit, 0)}
  # no room for more: an answer is under way, however long it pauses
  tcp window 0 ${setMark(0, requestBit)}
  ct mark & ${hex(requestBit)} != 0 accept
  ${each((family) => `${endsFrom(family, "s", "d")} @closing${family.suffix} ${early} reject with tcp reset`)}
  accept
}
chain no_answer {
  ct mark & ${hex(requestBit | unheardBit)} != 0 accept
  # the segment has the number that the client expects next, so as a reset it is exact (RFC 5961, section 3)
  ${each((family) => `${endsFrom(family, "d", "s")} @closing${family.suffix} ${early} tcp flags set rst accept`)}
  accept
}
${headerWords.map((doff) => `chain header${doff} {\n  tcp doff ${doff} goto no_data\n  goto data\n}`).join("\n")}
chain segment {
  tcp flags & (fin | syn | rst) != 0 accept
${lengths.join("\n")}
  goto data
}`;
}

/** Clears and sets bits of ours, and leaves all others as they are. */
export function setMark(clear: number, bits: number): string {
  const kept = clear === 0 ? "ct mark" : `ct mark & ${without(clear | bits)}`;
  return bits === 0 ? `ct mark set ${kept}` : `ct mark set ${kept} | ${hex(bits)}`;
}
