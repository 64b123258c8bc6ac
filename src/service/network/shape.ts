/**
 * What of a table nobody changes while it is loaded: its chains, how many rules each has, and the elements of its constant sets and maps.
 * Kept as a number in the table itself, so that a table that another program took something out of, or put something into, is told from
 * the one that was loaded, by whichever daemon looks. Pure. Source: libnftables-json(5).
 */
import { createHash } from "node:crypto";
import type { BoardName } from "../../board/board.ts";
import type { NftObject } from "../../system/nft.ts";
import { registerSets } from "./register.ts";
import type { WiringTable } from "./wiring.ts";

/** @param listings of each table, by family: what is in it. */
export function shapeOf(
  tables: readonly WiringTable[],
  listings: Readonly<Record<string, readonly NftObject[]>>,
): number {
  const hash = createHash("sha256");
  for (const family of Object.keys(listings).toSorted()) {
    const changing = new Set([
      ...registerSets,
      ...tables.filter((table) => table.family === family).flatMap(changingIn),
    ]);
    hash.update(`${family}\n${linesOf(listings[family] ?? [], changing).join("\n")}\n`);
  }
  return hash.digest().readUInt32BE(0);
}

/** Whether what a takeover brings is there for who holds. */
export function followsHolder(
  tables: readonly WiringTable[],
  listings: Readonly<Record<string, readonly NftObject[]>>,
  holder: BoardName | null,
): boolean {
  if (holder === null) return true;
  return tables.every(({ family, follows }) => {
    const listing = listings[family] ?? [];
    return Object.entries(follows?.(holder) ?? {}).every(([name, element]) => {
      const found = listing.find(({ kind, value }) => /^(set|map)$/.test(kind) && value["name"] === name);
      return JSON.stringify(found?.value["elem"] ?? []).includes(JSON.stringify(element));
    });
  });
}

/** Names of sets and maps that takeovers and drains change. */
function changingIn({ elements, changing = [] }: WiringTable): string[] {
  const text = elements({ present: false, holder: null, draining: null, epoch: 0, digest: 0, sets: [] });
  return [...changing, ...Array.from(text.matchAll(/\b(?:set|map) (\w+) \{/g), ([, name = ""]) => name)];
}

function linesOf(listing: readonly NftObject[], changing: ReadonlySet<string>): string[] {
  const rules = new Map<string, number>();
  const lines: string[] = [];
  for (const { kind, value } of listing) {
    const name = String(value["name"]);
    if (kind === "chain") rules.set(name, rules.get(name) ?? 0);
    if (kind === "rule") {
      const chain = String(value["chain"]);
      rules.set(chain, (rules.get(chain) ?? 0) + 1);
    }
    const flags = Array.isArray(value["flags"]) ? (value["flags"] as unknown[]) : [];
    const isConstant = !changing.has(name) && !flags.includes("dynamic") && !flags.includes("timeout");
    if ((kind === "set" || kind === "map") && isConstant) {
      const elements = Array.isArray(value["elem"]) ? (value["elem"] as unknown[]) : [];
      const texts = elements.map((element) => JSON.stringify(element));
      lines.push(`${kind} ${name}: ${texts.toSorted().join(" ")}`);
    }
  }
  return [...lines, ...Array.from(rules, ([chain, count]) => `chain ${chain}: ${count}`)].toSorted();
}
