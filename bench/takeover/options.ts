/** The options that benches of takeovers share. */
import { UsageError } from "../../demo/foreground.ts";
import type { FamilyName } from "../../test/fixtures/routed/lab.ts";
import { type BenchOption, type BenchRun, type BoardKind, boardKinds, wholeNumber } from "../bench.ts";

interface Defaults {
  readonly takeovers: number;
  readonly everyMs: number;
  readonly windowHalfMs: number;
}

export interface MachineOptions {
  readonly takeovers: number;
  readonly windowHalfMs: number;
  /** So long a run may take: twice what it should, and some more. */
  readonly mostMs: number;
}

export interface TakeoverOptions extends MachineOptions {
  readonly everyMs: number;
}

/** Of machines: a run of a minute or so; and windows for what is on its way in an emulated one, and for a takeover's instant, which is that before its journal was on the disk. */
const ofMachines = { takeovers: 10, windowHalfMs: 250 } as const;
/** A rollback of machines, at most. */
const rollbackMs = 60_000;

/** @param defaults for a run of 20 to 30 s with stand-ins. */
export function takeoverOptions(
  defaults: Defaults,
): Record<"boards" | "takeovers" | "every" | "window", BenchOption> {
  return {
    boards: boardsOption,
    takeovers: {
      value: "N",
      meaning: "takeovers to and fro, 1 to 100000",
      default: { namespace: String(defaults.takeovers), qemu: String(ofMachines.takeovers) },
    },
    every: {
      value: "MS",
      meaning: "from one takeover to the next, 50 to 60000",
      default: { namespace: String(defaults.everyMs), qemu: null },
    },
    window: {
      value: "MS",
      meaning: "before and after a takeover in which gaps count as its own, 1 to 1000",
      default: { namespace: String(defaults.windowHalfMs), qemu: String(ofMachines.windowHalfMs) },
    },
  };
}

export const boardsOption: BenchOption = {
  value: "KIND",
  meaning: "what stands for the boards: namespace or qemu",
  default: "namespace",
};

export const familyOption: BenchOption = { value: "NAME", meaning: "ipv4 or ipv6", default: "ipv4" };

/** Errors: `UsageError`. */
export function readBoards(options: BenchRun["options"]): BoardKind {
  return oneOf(options, "boards", boardKinds);
}

/** Errors: `UsageError`. */
export function readTakeovers(options: BenchRun["options"]): number {
  return wholeNumber(options, "takeovers", 1, 100_000);
}

/** With machines each takeover follows the one before as soon as it can. Errors: `UsageError`. */
export function readMachineOptions(options: BenchRun["options"]): MachineOptions {
  const takeovers = readTakeovers(options);
  const windowHalfMs = wholeNumber(options, "window", 1, 1000);
  return { takeovers, windowHalfMs, mostMs: takeovers * rollbackMs };
}

/** With stand-ins. Errors: `UsageError`. */
export function readTakeoverOptions(options: BenchRun["options"]): TakeoverOptions {
  const { takeovers, windowHalfMs } = readMachineOptions(options);
  const everyMs = wholeNumber(options, "every", 50, 60_000);
  // Between two takeovers are both their windows, a quiet one, and some room.
  if (everyMs < 8 * windowHalfMs)
    throw new UsageError(
      `--every ${everyMs} leaves no quiet window: at least ${8 * windowHalfMs}, or a smaller --window`,
    );
  return { takeovers, everyMs, windowHalfMs, mostMs: 2 * (takeovers + 10) * everyMs };
}

/** Errors: `UsageError`. */
export function readFamily(options: BenchRun["options"]): FamilyName {
  return oneOf(options, "family", ["ipv4", "ipv6"]);
}

/** The value of an option that is one of some words. Errors: `UsageError`. */
export function oneOf<Word extends string>(
  options: BenchRun["options"],
  name: string,
  words: readonly Word[],
): Word {
  const found = words.find((word) => word === options[name]);
  if (found !== undefined) return found;
  throw new UsageError(`--${name} is ${words.join(" or ")}, not ${JSON.stringify(options[name])}`);
}
