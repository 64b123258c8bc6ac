/** What changes: elements of the table's sets and maps, as texts of transactions, and the reading of them. Pure. */
import { type BoardName, boardNames } from "../../board/board.ts";
import type { Flow } from "../../system/conntrack.ts";
import type { Family } from "../network/family.ts";
import { registerFamily, type Standing, sameEpoch, set } from "../network/register.ts";
import type { ServiceCondition } from "../service.ts";
import { hex, marksIn } from "./marks.ts";
import { linkedFamilies, linksOf, type RoutedPlan } from "./plan.ts";
import { probePort } from "./probe-ports.ts";

/** Sets and maps of the table whose elements change, as they are while things stand so. */
export function elements(plan: RoutedPlan, standing: Standing): string {
  return [
    ...linkedFamilies(plan).map(({ family, links }) =>
      set(`boards${family.suffix}`, family.addressType, [links.a, links.b]),
    ),
    "# board and service of flows that may not go on",
    set(
      "cut",
      "mark",
      boardNames.filter((board) => isFenced(standing, board)).flatMap((board) => marksOf(plan, board)),
    ),
    ...linkedFamilies(plan).map(({ family }) => holdersAddress(plan, family, standing.holder)),
  ].join("\n");
}

/** What a takeover changes besides the register. */
export function takeover(plan: RoutedPlan, to: BoardName): string[] {
  const table = tableOf(plan);
  const families = linkedFamilies(plan).map(({ family }) => family);
  return [
    ...families.map(({ suffix }) => `flush map ${table} board${suffix}`),
    `flush set ${table} cut`,
    // a board that holds again is asked nothing more in order to close its flows
    ...families.map(({ suffix }) => `flush set ${table} closing${suffix}`),
    ...families.map(
      (family) => `add element ${table} board${family.suffix} { ${addressElement(plan, family, to)} }`,
    ),
  ];
}

/** The clients of a board that may not even finish what it began are answered by resets when they speak. */
export function shut(plan: RoutedPlan, board: BoardName): string[] {
  const marks = marksOf(plan, board);
  // What is not tracked has no marks; nftables takes no empty list.
  return marks.length === 0 ? [] : [`add element ${tableOf(plan)} cut { ${marks.join(", ")} }`];
}

/** From here on, flows with these boards and services in their marks are answered by resets. */
export function cutOff(plan: RoutedPlan, epoch: number, marks: readonly number[]): string {
  return `${sameEpoch(plan.names, epoch)}; add element ${tableOf(plan)} cut { ${marks.map(hex).join(", ")} }`;
}

/** Who is asked next, and what may be closed by the answer. */
export interface Askings {
  readonly family: Family;
  /** These flows are closed unless a request comes first. */
  readonly closing: readonly Flow[];
  /** In whose name the board is asked: the place of a flow in this list is that of its probe's port. */
  readonly askers: readonly Flow[];
}

/** A file, one statement a line, because it may be long; it is one transaction all the same. */
export function askingFile(plan: RoutedPlan, epoch: number, { family, closing, askers }: Askings): string {
  const table = tableOf(plan);
  const { suffix } = family;
  const add = (what: string, elements: readonly string[]): string[] =>
    elements.length === 0 ? [] : [`add element ${table} ${what}${suffix} { ${elements.join(", ")} }`];
  return [
    ...sameEpoch(plan.names, epoch).split("; "),
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

function isFenced(condition: ServiceCondition, board: BoardName): boolean {
  return condition.present && condition.holder !== board && condition.draining !== board;
}

/** What the marks of a board's flows have in common, service by service. */
function marksOf(plan: RoutedPlan, board: BoardName): string[] {
  const { serviceMark, boardMark } = marksIn(plan.markMask);
  return plan.services.map((_, index) => hex(serviceMark(index) | boardMark[board]));
}

function tableOf(plan: RoutedPlan): string {
  return `${registerFamily} ${plan.names.table}`;
}

/** Where new work of a family goes. One element, however many services there are, so that a takeover is as quick with all of them. */
function holdersAddress(plan: RoutedPlan, family: Family, holder: BoardName | null): string {
  const { suffix, addressType } = family;
  const elements = holder === null ? "" : `elements = { ${addressElement(plan, family, holder)} };`;
  return `map board${suffix} { type nf_proto : ${addressType}; ${elements} }`;
}

function addressElement(plan: RoutedPlan, family: Family, board: BoardName): string {
  return `${family.name} : ${linksOf(plan, family)[board]}`;
}
