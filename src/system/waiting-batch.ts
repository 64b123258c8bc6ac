/**
 * ip(8) or tc(8), started ahead and waiting for lines: to start a program takes a daemon milliseconds that a board which wakes does not have,
 * and the first lines of one take it twice as long as the next. When its daemon is gone it reads an end of file, and ends.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { TwinboardError } from "../errors.ts";
import { orAborted } from "./abort.ts";

const timeoutMs = 10_000;
const wordsLimitBytes = 4096;
/** Answered at once, after all that came before it. */
const questions = { ip: "link show dev", tc: "qdisc show dev" } as const;

export class WaitingBatch {
  readonly #program: keyof typeof questions;
  readonly #card: string;
  readonly #child: ChildProcessWithoutNullStreams;
  /** Called with what went wrong, or nothing. */
  #answer: ((failure: string) => void) | undefined;
  #waits = true;
  /** How it ended. */
  #ended: string | undefined;

  /**
   * @param card is there and, for tc(8), has a queue: it is asked about, to learn that the lines before were carried out.
   * @param namespace where its cards are; this one if it is left out.
   */
  constructor(program: keyof typeof questions, card: string, namespace?: string) {
    this.#program = program;
    this.#card = card;
    const where = namespace === undefined ? [] : ["-netns", namespace];
    this.#child = spawn(program, [...where, "-batch", "-"]);
    const { stdin, stdout, stderr } = this.#child;
    let words = "";
    stderr.on("data", (chunk: Buffer) => {
      if (words.length < wordsLimitBytes) words += chunk.toString();
    });
    stdin.on("error", () => undefined);
    stdout.on("data", () => this.#tell(""));
    const end = (how: string): void => {
      this.#waits = false;
      this.#ended ??= how;
      this.#tell(this.#ended);
    };
    this.#child.once("error", (error) => end(error.message));
    this.#child.once("close", (code, killedBy) =>
      end(`${program}: ${killedBy ?? `exit code ${code}`}: ${words.trim()}`),
    );
  }

  /** Whether it can be given lines: `false` while it carries some out, and once it has ended. */
  get waits(): boolean {
    return this.#waits;
  }

  /**
   * Carries out these lines, which say nothing, and waits for more. One that failed has ended.
   * Errors: `command-failed`, `deadline-passed`; the signal's reason.
   */
  async run(lines: readonly string[], signal: AbortSignal): Promise<void> {
    if (this.#ended !== undefined) throw new TwinboardError("command-failed", { detail: this.#ended });
    this.#waits = false;
    const answer = new Promise<string>((resolve) => (this.#answer = resolve));
    this.#child.stdin.write([...lines, `${questions[this.#program]} ${this.#card}`, ""].join("\n"));
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      const failure = await orAborted(answer, AbortSignal.any([signal, timeout]));
      if (failure !== "") throw new TwinboardError("command-failed", { detail: failure });
      this.#waits = true;
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

  #tell(failure: string): void {
    this.#answer?.(failure);
    this.#answer = undefined;
  }
}
