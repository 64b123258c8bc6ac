/**
 * The contract of a bench: one measurement whose figures the documents state. Each file of this folder besides this one and main.ts
 * exports one as `bench`, and its name is the file's: `npm run bench -- NAME`.
 *
 * - It makes all it needs in network namespaces and directories of its own, and leaves nothing behind.
 * - Figures are what was measured, also when it is bad; what makes the run worthless (nothing was asked, an upgrade failed) is an error.
 * - What may be read as a promise and was not kept is a complaint: the figures are still told, and the exit code is 1.
 */
import { UsageError } from "../demo/foreground.ts";

/** What stands for the boards: light stand-ins, or real machines. The value of `--boards`, where a bench can have both. */
export const boardKinds = ["namespace", "qemu"] as const;
export type BoardKind = (typeof boardKinds)[number];

/** The value of `--boards` where boards are real ones of either kind. Errors: `UsageError`. */
export function realBoards({ boards }: Readonly<Record<string, string>>): "qemu" | "container" {
  if (boards === "qemu" || boards === "container") return boards;
  throw new UsageError(`--boards is qemu or container, not ${JSON.stringify(boards)}`);
}

export const realBoardsOption: BenchOption = {
  value: "KIND",
  meaning: "what runs the boards: qemu or container",
  default: "qemu",
};

/** An option of one bench, always a string on the command line: `--count 10`. */
export interface BenchOption {
  /** What stands for its value in the help: `N`. */
  readonly value: string;
  readonly meaning: string;
  /** One for each kind of board, where they differ; `null`: the option says nothing with these boards, and is refused. */
  readonly default: string | Readonly<Record<BoardKind, string | null>>;
}

export interface BenchResult {
  /** The content of `--json FILE`: one object with stable keys, units last in their names. */
  readonly figures: Readonly<Record<string, unknown>>;
  /** The same for people, first row the heading. */
  readonly table: readonly (readonly string[])[];
  /** What did not hold, as sentences; nothing if all is well. */
  readonly complaints: readonly string[];
  /** The content of `--plot FILE`, an SVG; of a bench that has one. */
  readonly plot?: string;
}

export interface BenchRun {
  /** A value for each option that goes with the boards asked for, the default where none was given. */
  readonly options: Readonly<Record<string, string>>;
  /** Aborts on Ctrl-C; the bench then takes down what it made, and rejects. */
  readonly signal: AbortSignal;
  /** Tells people how far it is: one line. */
  readonly say: (line: string) => void;
}

export interface Bench {
  readonly name: string;
  /** One line for the list of benches. */
  readonly summary: string;
  /** By name, without the dashes; `json`, `plot` and `help` are taken. */
  readonly options: Readonly<Record<string, BenchOption>>;
  /** Network namespaces and rules need it; machines always do. */
  readonly needsRoot: boolean;
  /** It draws what it measured: `--plot FILE`. */
  readonly hasPlot?: true;
  /** Errors: `UsageError` for an option's value, before anything is done. */
  run(run: BenchRun): Promise<BenchResult>;
}

/** The value of an option that is a whole number. Errors: `UsageError`. */
export function wholeNumber(options: BenchRun["options"], name: string, least: number, most: number): number {
  const text = options[name] ?? "";
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most)
    throw new UsageError(`--${name} is a whole number from ${least} to ${most}, not ${JSON.stringify(text)}`);
  return value;
}
