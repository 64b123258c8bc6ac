/** What changes: elements of the table's sets and maps, as texts of transactions, and the reading of them. Pure. */
import { type BoardName, boardNames } from "../../board/board.ts";
import type { TcpFlow } from "../../system/conntrack.ts";
import type { NftSet } from "../../system/nft.ts";
import type { ServiceCondition } from "../service.ts";
import { type Family, families } from "./family.ts";
import { hex, marksIn } from "./marks.ts";
import { linkedFamilies, linksOf, type RoutedPlan, servicesOf } from "./plan.ts";
import { probePort } from "./probe-ports.ts";
import type { Rules } from "./rules.ts";

export const tableFamily = "inet";

/** What the kernel's elements say. */
export interface TableCondition extends ServiceCondition {
  readonly digest: number;
  /** The boards' addresses by which the table was made, of all families. */
  readonly boards: readonly string[];
}

export const absent: TableCondition = {
  present: false,
  holder: null,
  draining: null,
  epoch: 0,
  digest: 0,
  boards: [],
};

/** The file that makes the table, or replaces it in one transaction without a change of holder. */
export function tableFile(plan: RoutedPlan, rules: Rules, was: TableCondition): string {
  const table = `${tableFamily} ${plan.names.table}`;
  const epoch = was.present ? was.epoch : 1;
  return [
    // With another epoch the table is not the one that was read: then nothing is replaced.
    ...(was.present ? [`delete element ${table} epoch { ${was.epoch} }`, `delete table ${table}`] : []),
    `table ${table} {`,
    set("rules", "mark", [hex(rules.digest)]),
    set("epoch", "mark", [String(epoch)]),
    ...linkedFamilies(plan).map(({ family, links }) =>
      set(`boards${family.suffix}`, family.addressType, [links.a, links.b]),
    ),
    set("holder", "ifname", cardsOf(plan, was.holder)),
    set("draining", "ifname", cardsOf(plan, was.draining)),
    "# board and service of flows that may not go on",
    set(
      "cut",
      "mark",
      boardNames.filter((board) => isFenced(was, board)).flatMap((board) => marksOf(plan, board)),
    ),
    ...linkedFamilies(plan).map(({ family }) => servicesMap(plan, family, was.holder)),
    rules.text,
    "}",
    "",
  ].join("\n");
}

/** The takeover: the commit point of the story. Fails whole unless the epoch is still `from.epoch`. */
export function takeover(plan: RoutedPlan, from: ServiceCondition, to: BoardName): string {
  const table = `${tableFamily} ${plan.names.table}`;
  const draining = from.holder !== null && from.holder !== to ? from.holder : null;
  return [
    nextEpoch(plan, from.epoch),
    ...linkedFamilies(plan).map(({ family }) => `flush map ${table} services${family.suffix}`),
    `flush set ${table} holder`,
    `flush set ${table} draining`,
    `flush set ${table} cut`,
    // a board that holds again is asked nothing more in order to close its flows
    ...linkedFamilies(plan).map(({ family }) => `flush set ${table} closing${family.suffix}`),
    ...linkedFamilies(plan).flatMap(({ family }) =>
      destinations(plan, family, to).map(
        (elements) => `add element ${table} services${family.suffix} { ${elements} }`,
      ),
    ),
    `add element ${table} holder { ${cardsOf(plan, to).join(", ")} }`,
    ...(draining === null ? [] : [`add element ${table} draining { ${cardsOf(plan, draining).join(", ")} }`]),
  ].join("; ");
}

/** Fails unless the epoch is still `epoch`, and raises it. */
export function nextEpoch(plan: RoutedPlan, epoch: number): string {
  return epochStep(plan, epoch, epoch + 1);
}

/** The draining board may not even finish what it began: its clients are answered by resets when they speak. */
export function shut(plan: RoutedPlan, epoch: number, board: BoardName): string {
  const table = `${tableFamily} ${plan.names.table}`;
  return [
    epochStep(plan, epoch, epoch),
    `flush set ${table} draining`,
    `add element ${table} cut { ${marksOf(plan, board).join(", ")} }`,
  ].join("; ");
}

/** From here on, flows with these boards and services in their marks are answered by resets. */
export function cutOff(plan: RoutedPlan, epoch: number, marks: readonly number[]): string {
  const table = `${tableFamily} ${plan.names.table}`;
  return `${epochStep(plan, epoch, epoch)}; add element ${table} cut { ${marks.map(hex).join(", ")} }`;
}

/** Who is asked next, and what may be closed by the answer. */
export interface Askings {
  readonly family: Family;
  /** These flows are closed unless a request comes first. */
  readonly closing: readonly TcpFlow[];
  /** In whose name the board is asked: the place of a flow in this list is that of its probe's port. */
  readonly askers: readonly TcpFlow[];
}

/** A file, one statement a line, because it may be long; it is one transaction all the same. */
export function askingFile(plan: RoutedPlan, epoch: number, { family, closing, askers }: Askings): string {
  const table = `${tableFamily} ${plan.names.table}`;
  const { suffix } = family;
  const add = (what: string, elements: readonly string[]): string[] =>
    elements.length === 0 ? [] : [`add element ${table} ${what}${suffix} { ${elements.join(", ")} }`];
  return [
    ...epochStep(plan, epoch, epoch).split("; "),
    `flush map ${table} asker${suffix}`,
    `flush map ${table} asker_port${suffix}`,
    ...add(
      "closing",
      closing.map(
        (flow) => `${flow.source} . ${flow.sourcePort} . ${flow.answeredBy} . ${flow.answeredPort}`,
      ),
    ),
    ...add(
      "asker",
      askers.map(({ answeredTo }, index) => `${probePort(index)} : ${answeredTo}`),
    ),
    ...add(
      "asker_port",
      askers.map(({ answeredToPort }, index) => `${probePort(index)} : ${answeredToPort}`),
    ),
    "",
  ].join("\n");
}

/** Deleting an element that is not there fails the whole transaction: that is what makes an old one harmless. */
function epochStep(plan: RoutedPlan, from: number, to: number): string {
  const set = `${tableFamily} ${plan.names.table} epoch`;
  return `delete element ${set} { ${from} }; add element ${set} { ${to} }`;
}

/** Reads the condition out of the table's sets; `undefined` sets mean that there is no table. */
export function conditionOf(plan: RoutedPlan, sets: readonly NftSet[] | undefined): TableCondition {
  if (sets === undefined) return absent;
  const elements = (name: string): readonly unknown[] =>
    sets.find((set) => set.name === name)?.elements ?? [];
  const board = (name: string): BoardName | null =>
    boardNames.find((candidate) => elements(name).includes(plan.names.card(candidate, "service"))) ?? null;
  return {
    present: true,
    holder: board("holder"),
    draining: board("draining"),
    epoch: Number(elements("epoch")[0] ?? 0),
    digest: Number(elements("rules")[0] ?? 0),
    boards: families.flatMap(({ suffix }) => elements(`boards${suffix}`).map(String)),
  };
}

function set(name: string, type: string, elements: readonly string[]): string {
  return `set ${name} { type ${type}; ${elements.length === 0 ? "" : `elements = { ${elements.join(", ")} };`} }`;
}

function isFenced(condition: ServiceCondition, board: BoardName): boolean {
  return condition.present && condition.holder !== board && condition.draining !== board;
}

/** What the marks of a board's flows have in common, service by service. */
function marksOf(plan: RoutedPlan, board: BoardName): string[] {
  const { serviceMark, boardMark } = marksIn(plan.markMask);
  return plan.services.map((_, index) => hex(serviceMark(index) | boardMark[board]));
}

function cardsOf(plan: RoutedPlan, board: BoardName | null): string[] {
  return board === null ? [] : [`"${plan.names.card(board, "service")}"`];
}

/** Where new flows of each service go. */
function servicesMap(plan: RoutedPlan, family: Family, holder: BoardName | null): string {
  const { suffix, addressType } = family;
  const elements = holder === null ? [] : destinations(plan, family, holder);
  const type = `type ${addressType} . inet_proto . inet_service : ${addressType} . inet_service;`;
  return `map services${suffix} { ${type} ${elements.map((text) => `elements = { ${text} };`).join("")} }`;
}

/** One text of all elements; none if the family has no services, because nftables takes no empty list. */
function destinations(plan: RoutedPlan, family: Family, board: BoardName): string[] {
  const inside = linksOf(plan, family)[board];
  const elements = servicesOf(plan, family).map(
    ({ service: { address, protocol, port, insidePort } }) =>
      `${address} . ${protocol} . ${port} : ${inside} . ${insidePort ?? port}`,
  );
  return elements.length === 0 ? [] : [elements.join(", ")];
}
