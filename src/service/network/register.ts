/**
 * The register: who holds, who drains, and the epoch, as elements of sets in the system's table of the inet family. The kernel keeps it,
 * whatever becomes of the daemon; rules of that table read it. Texts of transactions, and the reading of them. Pure.
 */
import { createHash } from "node:crypto";
import { type BoardName, boardNames } from "../../board/board.ts";
import type { SystemNames } from "../../system/names.ts";
import type { NftSet } from "../../system/nft.ts";
import type { ServiceCondition } from "../service.ts";
import { hostOnlyRules } from "./host-only-rules.ts";
import type { WiringTable } from "./wiring.ts";

export const registerFamily = "inet";
/** `held` says again who holds: an element that somebody takes away must not be the end of the service. */
export const registerSets = ["rules", "shape", "epoch", "holder", "held", "draining"] as const;

/** What the kernel's elements say. */
export interface Standing extends ServiceCondition {
  /** Tells the rules that are loaded from others. */
  readonly digest: number;
  /** Of the tables when they were loaded (`shape.ts`); left out: it was not noted. */
  readonly shape?: number;
  /** What somebody took out of the register, as a sentence. */
  readonly damage?: string;
  /** All sets of the register's table. */
  readonly sets: readonly NftSet[];
}

export const absent: Standing = {
  present: false,
  holder: null,
  draining: null,
  epoch: 0,
  digest: 0,
  sets: [],
};

/** 32 bits that tell these rules from others; kept as an element, so that the kernel says which rules it runs. */
export function digestOf(names: SystemNames, tables: readonly WiringTable[]): number {
  const hash = createHash("sha256").update(hostOnlyRules(names));
  for (const { family, rules } of tables) hash.update(`${family}\n${rules}\n`);
  return hash.digest().readUInt32BE(0);
}

/**
 * The file that makes the tables, or replaces them in one transaction without a change of holder.
 * @param present families in which the system has a table now.
 */
export function tablesFile(
  names: SystemNames,
  tables: readonly WiringTable[],
  standing: Standing,
  present: readonly string[],
): string {
  const others = tables.filter(({ family }) => family !== registerFamily);
  return [
    // With another epoch the tables are not those that were read: then nothing is replaced.
    ...(standing.present && standing.epoch > 0
      ? [`delete element ${registerFamily} ${names.table} epoch { ${standing.epoch} }`]
      : []),
    ...present.map((family) => `delete table ${family} ${names.table}`),
    `table ${registerFamily} ${names.table} {`,
    set("rules", "mark", [String(digestOf(names, tables))]),
    set("shape", "mark", []),
    set("epoch", "mark", [String(Math.max(1, standing.epoch))]),
    set("holder", "ifname", cardsOf(names, standing.holder)),
    set("held", "ifname", cardsOf(names, standing.holder)),
    set("draining", "ifname", cardsOf(names, standing.draining)),
    hostOnlyRules(names),
    ...tables.filter(({ family }) => family === registerFamily).map((table) => bodyOf(table, standing)),
    "}",
    ...others.map((table) => `table ${table.family} ${names.table} {\n${bodyOf(table, standing)}\n}`),
    "",
  ].join("\n");
}

function bodyOf({ rules, elements }: WiringTable, standing: Standing): string {
  return `${elements(standing)}\n${rules}`;
}

/** The takeover: the commit point of the story. Fails whole unless the epoch is still `from.epoch`. */
export function takeover(
  names: SystemNames,
  from: ServiceCondition,
  to: BoardName,
  ofWiring: readonly string[],
): string {
  const table = `${registerFamily} ${names.table}`;
  const draining = from.holder !== null && from.holder !== to ? from.holder : null;
  return [
    nextEpoch(names, from.epoch),
    `flush set ${table} holder`,
    `flush set ${table} held`,
    `flush set ${table} draining`,
    ...ofWiring,
    `add element ${table} holder { ${cardsOf(names, to).join(", ")} }`,
    `add element ${table} held { ${cardsOf(names, to).join(", ")} }`,
    ...(draining === null
      ? []
      : [`add element ${table} draining { ${cardsOf(names, draining).join(", ")} }`]),
  ].join("; ");
}

/** What the tables' shape is, once they are loaded. Fails if the tables are not those any more. */
export function noteShape(names: SystemNames, epoch: number, shape: number): string {
  const set = `${registerFamily} ${names.table} shape`;
  return `${sameEpoch(names, epoch)}; flush set ${set}; add element ${set} { ${shape} }`;
}

/** Fails unless the epoch is still `epoch`, and raises it; to more than `above` if that is higher. */
export function nextEpoch(names: SystemNames, epoch: number, above = 0): string {
  return epochStep(names, epoch, Math.max(epoch, above) + 1);
}

/** Fails unless the epoch is still `epoch`. */
export function sameEpoch(names: SystemNames, epoch: number): string {
  return epochStep(names, epoch, epoch);
}

/** The draining board may not even finish what it began. */
export function shut(names: SystemNames, epoch: number, ofWiring: readonly string[]): string {
  const table = `${registerFamily} ${names.table}`;
  return [sameEpoch(names, epoch), `flush set ${table} draining`, ...ofWiring].join("; ");
}

/** Deleting an element that is not there fails the whole transaction: that is what makes an old one harmless. */
function epochStep(names: SystemNames, from: number, to: number): string {
  const epoch = `${registerFamily} ${names.table} epoch`;
  // Somebody took the epoch away: what makes it anew fails if another daemon has done so.
  if (from === 0) return `create element ${epoch} { ${Math.max(1, to)} }`;
  return `delete element ${epoch} { ${from} }; add element ${epoch} { ${to} }`;
}

/** Reads how things stand out of the table's sets; `undefined`: there is no table. */
export function standingOf(names: SystemNames, sets: readonly NftSet[] | undefined): Standing {
  if (sets === undefined) return absent;
  const board = (name: string): BoardName | null =>
    boardNames.find((one) => elementsOf(sets, name).includes(names.card(one, "service"))) ?? null;
  const holder = board("holder") ?? board("held");
  const epoch = Number(elementsOf(sets, "epoch")[0] ?? 0);
  const [shape] = elementsOf(sets, "shape");
  const damage = damageOf(board("holder"), board("held"), epoch);
  return {
    present: true,
    holder,
    draining: board("draining"),
    epoch,
    digest: Number(elementsOf(sets, "rules")[0] ?? 0),
    ...(shape === undefined ? {} : { shape: Number(shape) }),
    ...(damage === undefined ? {} : { damage }),
    sets,
  };
}

function damageOf(holder: BoardName | null, held: BoardName | null, epoch: number): string | undefined {
  if (epoch === 0) return "somebody took the epoch out of the service's rules";
  return holder === held ? undefined : "somebody took the board in service out of the service's rules";
}

/** None if there is no such set. */
export function elementsOf(sets: readonly NftSet[], name: string): readonly unknown[] {
  return sets.find((one) => one.name === name)?.elements ?? [];
}

/** A set's text. nftables takes no empty list of elements. */
export function set(name: string, type: string, elements: readonly string[], more = ""): string {
  return `set ${name} { type ${type}; ${more}${elements.length === 0 ? "" : `elements = { ${elements.join(", ")} };`} }`;
}

/** The board's service card, as an element. */
export function cardsOf(names: SystemNames, board: BoardName | null): string[] {
  return board === null ? [] : [`"${names.card(board, "service")}"`];
}
