/**
 * ip(8), started ahead and waiting for its lines: to start a program takes a daemon milliseconds that a board which wakes does not have.
 * When its daemon is gone it reads an end of file, and ends.
 */
import { spawn } from "node:child_process";
import { TwinboardError } from "../errors.ts";
import { orAborted } from "./abort.ts";

const timeoutMs = 10_000;
const wordsLimitBytes = 4096;

export class WaitingIp {
  readonly #child = spawn("ip", ["-batch", "-"], { stdio: ["pipe", "ignore", "pipe"] });
  readonly #ended: Promise<string>;
  #waits = true;

  constructor() {
    const { stdin, stderr } = this.#child;
    let words = "";
    stderr.on("data", (chunk: Buffer) => {
      if (words.length < wordsLimitBytes) words += chunk.toString();
    });
    stdin.on("error", () => undefined);
    this.#ended = new Promise((resolve) => {
      const end = (how: string): void => {
        this.#waits = false;
        resolve(how);
      };
      this.#child.once("error", (error) => end(error.message));
      this.#child.once("close", (code, killedBy) =>
        end(code === 0 ? "" : `ip: ${killedBy ?? `exit code ${code}`}: ${words.trim()}`),
      );
    });
  }

  /** `false` once it has been given lines, or has ended. */
  get waits(): boolean {
    return this.#waits;
  }

  /** Runs these lines, and ends: once only. Errors: `command-failed`, `deadline-passed`; the signal's reason. */
  async run(lines: readonly string[], signal: AbortSignal): Promise<void> {
    this.#waits = false;
    this.#child.stdin.end(lines.map((line) => `${line}\n`).join(""));
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      const failure = await orAborted(this.#ended, AbortSignal.any([signal, timeout]));
      if (failure !== "") throw new TwinboardError("command-failed", { detail: failure });
    } catch (error) {
      this.#child.kill("SIGKILL");
      signal.throwIfAborted();
      if (!timeout.aborted) throw error;
      throw new TwinboardError("deadline-passed", { detail: `ip: ${lines.join("; ")} (${timeoutMs} ms)` });
    }
  }

  /** It is not needed. Repeatable. */
  end(): void {
    this.#waits = false;
    this.#child.stdin.end();
  }
}
