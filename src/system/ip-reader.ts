/**
 * The door to what ip(8) reads: one kept `ip -batch -`, which answers in 0.2 ms what takes a program of its own 10 ms. It reads whole
 * tables alone, never a card by its name: in a batch ip(8) remembers which card a name meant, also when another has it by now.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { TwinboardError } from "../errors.ts";
import { run } from "./process.ts";

/** Tables as ip(8) names them. */
export type IpTable = "link show" | "address show";

interface Child {
  readonly process: ChildProcessByStdio<Writable, Readable, null>;
  answer: string;
  /** Called when something arrived or the child ended. */
  wake: () => void;
  ended: boolean;
}

const options = ["-json", "-details"];
const maxAnswerBytes = 64 * 1024 * 1024;

export class IpReader {
  readonly #program: string;
  readonly #timeoutMs: number;
  #child: Child | undefined;
  #last: Promise<unknown> = Promise.resolve();
  readonly #atExit = (): void => this.#end();

  constructor(program = "ip", timeoutMs = 5000) {
    this.#program = program;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * A table of this network namespace as ip(8) tells it in JSON, with details. One reading at a time, in the order of the calls; what a
   * kept child does not answer is asked of a program of its own. Errors: `missing-program`, `command-failed`, `deadline-passed`.
   */
  async read(table: IpTable): Promise<unknown> {
    const turn = this.#last.then(() => this.#read(table));
    this.#last = turn.catch(() => undefined);
    return await turn;
  }

  async #read(table: IpTable): Promise<unknown> {
    const child = this.#child?.ended === false ? this.#child : this.#start();
    child.answer = "";
    child.process.stdin.write(`${table}\n`);
    const answer = await this.#answered(child);
    if (answer !== undefined) return answer;
    this.#end();
    const { stdout } = await run(this.#program, [...options, ...table.split(" ")], {
      timeoutMs: this.#timeoutMs,
      maxOutputBytes: maxAnswerBytes,
    });
    const found = parsed(stdout.toString());
    if (found === undefined)
      throw new TwinboardError("command-failed", {
        detail: `${this.#program} ${table}: no table in JSON: ${stdout.toString().slice(0, 200)}`,
      });
    return found;
  }

  /** `undefined`: there is no answer to be had of this child. */
  async #answered(child: Child): Promise<unknown> {
    // The child is no reason for a program to stay alive, this timer is one.
    const limit = { passed: false };
    const timer = setTimeout(() => {
      limit.passed = true;
      child.wake();
    }, this.#timeoutMs);
    try {
      for (;;) {
        const answer = parsed(child.answer);
        if (answer !== undefined) return answer;
        if (child.ended || limit.passed || child.answer.length > maxAnswerBytes) return undefined;
        await new Promise<void>((resolve) => {
          child.wake = resolve;
        });
      }
    } finally {
      clearTimeout(timer);
    }
  }

  #start(): Child {
    const started = spawn(this.#program, [...options, "-batch", "-"], { stdio: ["pipe", "pipe", "ignore"] });
    const child: Child = { process: started, answer: "", wake: () => undefined, ended: false };
    const end = (): void => {
      child.ended = true;
      child.wake();
    };
    started.stdout.setEncoding("utf8").on("data", (text: string) => {
      child.answer += text;
      child.wake();
    });
    started.stdin.on("error", () => undefined);
    started.once("error", end).once("close", end);
    started.unref();
    for (const stream of [started.stdin, started.stdout])
      (stream as unknown as { unref?: () => void }).unref?.();
    this.#child = child;
    process.off("beforeExit", this.#atExit).once("beforeExit", this.#atExit);
    return child;
  }

  #end(): void {
    this.#child?.process.kill("SIGKILL");
    this.#child = undefined;
  }
}

/** An array in one line; `undefined` until all of it is there. */
function parsed(text: string): unknown {
  if (!text.endsWith("]\n")) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Of this network namespace, for everybody: it has no state that matters to anyone. */
const reader = new IpReader();

/** As `IpReader.read`. */
export async function readIp(table: IpTable): Promise<unknown> {
  return await reader.read(table);
}
