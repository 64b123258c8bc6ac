/** The options that benches of takeovers share. */
import { UsageError } from "../../demo/foreground.ts";
import type { FamilyName } from "../../test/fixtures/routed/lab.ts";
import { type BenchOption, type BenchRun, wholeNumber } from "../bench.ts";

interface Defaults {
  readonly takeovers: number;
  readonly everyMs: number;
  readonly windowHalfMs: number;
}

export interface TakeoverOptions extends Defaults {
  /** So long a run may take: twice what it should, and some more. */
  readonly mostMs: number;
}

/** @param defaults for a run of 20 to 30 s. */
export function takeoverOptions(
  defaults: Defaults,
): Record<"boards" | "takeovers" | "every" | "window", BenchOption> {
  return {
    boards: { value: "KIND", meaning: "what stands for the boards: namespace", default: "namespace" },
    takeovers: {
      value: "N",
      meaning: "takeovers to and fro, 1 to 100000",
      default: String(defaults.takeovers),
    },
    every: {
      value: "MS",
      meaning: "from one takeover to the next, 50 to 60000",
      default: String(defaults.everyMs),
    },
    window: {
      value: "MS",
      meaning: "before and after a takeover in which gaps count as its own, 1 to 1000",
      default: String(defaults.windowHalfMs),
    },
  };
}

export const familyOption: BenchOption = { value: "NAME", meaning: "ipv4 or ipv6", default: "ipv4" };

/** Errors: `UsageError`. */
export function readTakeoverOptions(options: BenchRun["options"]): TakeoverOptions {
  const takeovers = wholeNumber(options, "takeovers", 1, 100_000);
  const everyMs = wholeNumber(options, "every", 50, 60_000);
  const windowHalfMs = wholeNumber(options, "window", 1, 1000);
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

/** Errors: `UsageError` for machines, which this bench has none of. */
export function refuseMachines(options: BenchRun["options"]): void {
  if (options["boards"] === "qemu")
    throw new UsageError("--boards qemu is not supported yet by this bench, only namespace");
  oneOf(options, "boards", ["namespace"]);
}
