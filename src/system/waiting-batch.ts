/**
 * ip(8) or tc(8), started ahead and waiting for its lines: to start a program takes a daemon milliseconds that a board which wakes does not have.
 * When its daemon is gone it reads an end of file, and ends.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { TwinboardError } from "../errors.ts";
import { orAborted } from "./abort.ts";

const timeoutMs = 10_000;
const wordsLimitBytes = 4096;
/** Each answers this at once, after all that came before it: its own end takes longer. */
const lastLines = { ip: "link show dev lo", tc: "qdisc show dev lo" } as const;

export class WaitingBatch {
  readonly #program: keyof typeof lastLines;
  readonly #child: ChildProcessWithoutNullStreams;
  /** What went wrong; nothing, if all was done. */
  readonly #outcome: Promise<string>;
  #waits = true;

  /** @param namespace where its cards are; this one if it is left out. */
  constructor(program: keyof typeof lastLines, namespace?: string) {
    this.#program = program;
    const where = namespace === undefined ? [] : ["-netns", namespace];
    this.#child = spawn(program, [...where, "-batch", "-"]);
    const { stdin, stdout, stderr } = this.#child;
    let words = "";
    stderr.on("data", (chunk: Buffer) => {
      if (words.length < wordsLimitBytes) words += chunk.toString();
    });
    stdin.on("error", () => undefined);
    this.#outcome = new Promise((resolve) => {
      const end = (how: string): void => {
        this.#waits = false;
        resolve(how);
      };
      this.#child.once("error", (error) => end(error.message));
      stdout.on("data", () => end(""));
      this.#child.once("close", (code, killedBy) =>
        end(`${program}: ${killedBy ?? `exit code ${code}`}: ${words.trim()}`),
      );
    });
  }

  /** `false` once it has been given lines, or has ended. */
  get waits(): boolean {
    return this.#waits;
  }

  /** Runs these lines, which say nothing, and ends: once only. Errors: `command-failed`, `deadline-passed`; the signal's reason. */
  async run(lines: readonly string[], signal: AbortSignal): Promise<void> {
    this.#waits = false;
    this.#child.stdin.end([...lines, lastLines[this.#program], ""].join("\n"));
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      const failure = await orAborted(this.#outcome, AbortSignal.any([signal, timeout]));
      if (failure !== "") throw new TwinboardError("command-failed", { detail: failure });
    } catch (error) {
      this.#child.kill("SIGKILL");
      signal.throwIfAborted();
      if (!timeout.aborted) throw error;
      throw new TwinboardError("deadline-passed", {
        detail: `${this.#program}: ${lines.join("; ")} (${timeoutMs} ms)`,
      });
    }
  }

  /** It is not needed. Repeatable. */
  end(): void {
    this.#waits = false;
    this.#child.stdin.end();
  }
}
