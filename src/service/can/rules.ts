/**
 * The rules of the kernel's CAN gateway (cangw, of can-utils; Documentation/networking/can.rst) that join a bus to boards. Pure. The
 * kernel keeps a rule as often as it is added, and each one passes every frame on: what is there is looked at before anything is added.
 */
import { type BoardName, boardNames } from "../../board/board.ts";
import type { SystemNames } from "../../system/names.ts";
import type { Place } from "../lease-memory.ts";

export interface CanWires {
  readonly names: SystemNames;
  /** The service's name. */
  readonly name: string;
  /** The card of the bus. */
  readonly bus: string;
  /** Frames of CAN FD too. */
  readonly fd: boolean;
}

/** A rule as `cangw -A` takes it and `cangw -L` prints it. */
export type CanRule = string;

/** What of the rules concerns one board. */
interface BoardRules {
  readonly receive: readonly CanRule[];
  readonly transmit: readonly CanRule[];
}

/** Frames of the bus go to the board as they are; the board's are also heard by whoever else listens on the bus at this host (`-e`). */
export function rulesOf({ names, name, bus, fd }: CanWires, board: BoardName): BoardRules {
  const end = names.canCard(board, name, "host");
  const kinds = fd ? ["", " -X"] : [""];
  return {
    receive: kinds.map((kind) => `-s ${bus} -d ${end}${kind}`),
    transmit: kinds.map((kind) => `-s ${end} -d ${bus}${kind} -e`),
  };
}

/** Every rule that should be there. While it is leased both boards hear, so that no frame is lost on either way out of it, and none speaks. */
export function rulesAt(
  wires: CanWires,
  { verb, board }: Pick<Place, "verb" | "board">,
): ReadonlySet<CanRule> {
  const [a, b] = boardNames.map((name) => rulesOf(wires, name));
  if (verb === "lease") return new Set([...(a?.receive ?? []), ...(b?.receive ?? [])]);
  if (board === null) return new Set();
  const { receive, transmit } = rulesOf(wires, board);
  return new Set([...receive, ...transmit]);
}

/**
 * What makes it so, in order, each step `+` or `-` and a rule; repeatable. Whoever spoke is silent before another speaks, and the new one
 * hears before the old one does not.
 */
export function stepsTo(wires: CanWires, place: Pick<Place, "verb" | "board">): string[] {
  const wanted = rulesAt(wires, place);
  const all = boardNames.map((board) => rulesOf(wires, board));
  const transmit = all.flatMap((rules) => rules.transmit);
  const receive = all.flatMap((rules) => rules.receive);
  const has = (rule: CanRule): boolean => wanted.has(rule);
  const lacks = (rule: CanRule): boolean => !wanted.has(rule);
  return [
    ...transmit.filter(lacks).map((rule) => `- ${rule}`),
    ...receive.filter(has).map((rule) => `+ ${rule}`),
    ...transmit.filter(has).map((rule) => `+ ${rule}`),
    ...receive.filter(lacks).map((rule) => `- ${rule}`),
  ];
}

/**
 * Rules as `cangw -L` lists them, those of other programs too, each as often as it is there. `undefined`: the kernel has no CAN gateway,
 * and answered with routes of another kind.
 */
export function parseRules(stdout: string): CanRule[] | undefined {
  if (/^received msg (from unknown family|with unknown gwtype)/m.test(stdout)) return undefined;
  return [...stdout.matchAll(/^\S+ -A (-s \S+ -d \S+.*?) # -?\d+ handled/gm)].map(([, rule = ""]) => rule);
}

/** The board that may send, by the rules that are there; `null`: none, or, against all rules, both. */
export function speaker(wires: CanWires, rules: readonly CanRule[]): BoardName | null {
  const found = boardNames.filter((board) =>
    rulesOf(wires, board).transmit.some((rule) => rules.includes(rule)),
  );
  return found.length === 1 ? (found[0] ?? null) : null;
}

/** Whether our rules are those that should be there, each once. */
export function isAt(
  wires: CanWires,
  rules: readonly CanRule[],
  place: Pick<Place, "verb" | "board">,
): boolean {
  const wanted = rulesAt(wires, place);
  const ours = boardNames.flatMap((board) => Object.values(rulesOf(wires, board)).flat());
  return ours.every((rule) => rules.filter((one) => one === rule).length === (wanted.has(rule) ? 1 : 0));
}
