/** The door to nftables (nft(8)): one kept `nft -i` for changes, which need speed, and a process each for everything else. */
import { type ChildProcess, spawn } from "node:child_process";
import { TwinboardError } from "../errors.ts";
import { run } from "./process.ts";

const program = "nft";
/** A query that asks the kernel nothing; its answer comes after everything that the change before it had to say. */
const endQuery = "describe ipv4_addr";
const endAnswer = "datatype ipv4_addr";
const maxSayingBytes = 16_384;

interface Child {
  readonly process: ChildProcess;
  stdout: string;
  stderr: string;
  /** Called when something arrived or the child ended. */
  wake: () => void;
  ended: Error | undefined;
  readonly closed: Promise<void>;
}

/**
 * Changes to nftables, one transaction each, in the order in which they were asked for.
 * Spawning `nft` costs 16 ms; a line to a kept one 0.3 ms.
 */
export class NftSession {
  #child: Child | undefined;
  #last: Promise<unknown> = Promise.resolve();

  /** Starts the child now, so that the next change need not wait for it. Errors: `missing-program`, `command-failed`. */
  async warmUp(): Promise<void> {
    await this.change("");
  }

  /**
   * Carries out `statements` as one transaction: all of them or, with an error, none.
   * Errors: `command-failed` (the kernel or nft refused; nothing changed), `deadline-passed` (what became of it must be read),
   * `missing-program`.
   */
  async change(statements: string, timeoutMs = 5000): Promise<void> {
    if (statements.includes("\n")) throw new TwinboardError("internal", { detail: "a change is one line" });
    const turn = this.#last.then(() => this.#change(statements, timeoutMs));
    this.#last = turn.catch(() => undefined);
    await turn;
  }

  /** Ends the child; a later change starts another. */
  async close(): Promise<void> {
    await this.#last;
    await this.#end();
  }

  async #change(statements: string, timeoutMs: number): Promise<void> {
    const child = this.#living();
    child.stdout = "";
    child.stderr = "";
    child.process.stdin?.write(`${statements}\n${endQuery}\n`);
    try {
      await answered(child, timeoutMs);
    } catch (error) {
      // Only when the child is gone is it certain that the transaction comes to nothing more.
      await this.#end();
      throw error;
    }
    if (child.stderr !== "") throw refused(statements, child.stderr);
  }

  #living(): Child {
    if (this.#child?.ended === undefined && this.#child !== undefined) return this.#child;
    this.#child = startChild();
    return this.#child;
  }

  async #end(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined) return;
    child.process.kill("SIGKILL");
    await child.closed;
  }
}

function startChild(): Child {
  // libedit, by which nft -i reads, keeps a history file in HOME, and what it is told here is nobody's history; of a TERM that it does not
  // know it complains, which would be taken for an error of the first change.
  const { TERM: _, ...env } = process.env;
  const started = spawn(program, ["-i"], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...env, HOME: "/nonexistent" },
  });
  const closed = Promise.withResolvers<void>();
  const child: Child = {
    process: started,
    stdout: "",
    stderr: "",
    wake: () => undefined,
    ended: undefined,
    closed: closed.promise,
  };
  started.stdout.setEncoding("utf8").on("data", (text: string) => {
    child.stdout = (child.stdout + text).slice(-maxSayingBytes);
    child.wake();
  });
  started.stderr.setEncoding("utf8").on("data", (text: string) => {
    child.stderr = (child.stderr + text).slice(0, maxSayingBytes);
  });
  started.stdin.on("error", () => undefined);
  const end = (error: Error): void => {
    child.ended ??= error;
    closed.resolve();
    child.wake();
  };
  started.on("error", (error: NodeJS.ErrnoException) =>
    end(
      error.code === "ENOENT"
        ? new TwinboardError("missing-program", { detail: program, cause: error })
        : new TwinboardError("command-failed", { detail: `${program} -i: ${error.message}`, cause: error }),
    ),
  );
  started.on("close", (code, signal) =>
    end(
      new TwinboardError("command-failed", { detail: `${program} -i ended by ${signal ?? `code ${code}`}` }),
    ),
  );
  // The kept child alone is no reason for a program to stay alive.
  started.unref();
  for (const stream of [started.stdin, started.stdout, started.stderr]) unref(stream);
  return child;
}

function unref(stream: unknown): void {
  (stream as { unref?: () => void }).unref?.();
}

async function answered(child: Child, timeoutMs: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(
        new TwinboardError("deadline-passed", { detail: `an answer of ${program} -i (${timeoutMs} ms)` }),
      );
    }, timeoutMs);
    child.wake = () => {
      if (child.ended !== undefined) {
        clearTimeout(timer);
        reject(child.ended);
      } else if (child.stdout.includes(endAnswer)) {
        clearTimeout(timer);
        // nft wrote its complaint before the answer, but into another pipe: read that one out before believing in success.
        setImmediate(resolve);
      }
    };
    child.wake();
  });
}

function refused(statements: string, saying: string): TwinboardError {
  return new TwinboardError("command-failed", {
    detail: `${program}: ${saying.split("\n")[0] ?? ""} (${statements.slice(0, 300)})`,
  });
}

/**
 * Loads a file of rules as one transaction. From a file, because nft reads a pipe of Node's in pieces.
 * Errors: `command-failed` (nothing changed), `missing-program`, `deadline-passed`.
 */
export async function loadRules(path: string, signal?: AbortSignal): Promise<void> {
  await run(program, ["-f", path], { timeoutMs: 20_000, ...(signal === undefined ? {} : { signal }) });
}

/** A set or map of a table as `nft -j` lists it (libnftables-json(5)). */
export interface NftSet {
  readonly name: string;
  readonly elements: readonly unknown[];
}

/**
 * All named sets and maps of a table in one consistent picture; `undefined` if there is no such table.
 * Errors: `command-failed`, `missing-program`, `deadline-passed`.
 */
export async function readSets(family: string, table: string): Promise<readonly NftSet[] | undefined> {
  const result = await run(program, ["-j", "list", "sets", "table", family, table], {
    allowedExitCodes: [1],
    timeoutMs: 20_000,
    maxOutputBytes: 64 * 1024 * 1024,
  });
  if (result.exitCode === 0) return setsOf(result.stdout, family, table);
  if (!(await hasTable(family, table))) return undefined;
  throw new TwinboardError("command-failed", { detail: `nft list sets: ${result.stderr.slice(0, 500)}` });
}

/** Whether the table exists. Errors: `command-failed`, `missing-program`, `deadline-passed`. */
export async function hasTable(family: string, table: string): Promise<boolean> {
  const { stdout } = await run(program, ["-j", "list", "tables", family]);
  return objects(stdout, "table").some((found) => found["name"] === table);
}

/** The sets of one table in what `nft -j list sets` printed: nft 1.0.6 prints those of every table, whatever table is named. Pure. */
export function setsOf(json: Buffer, family: string, table: string): readonly NftSet[] {
  const ofTable = objects(json, "set").filter((set) => set["family"] === family && set["table"] === table);
  return ofTable.map(asSet);
}

function objects(json: Buffer, kind: string): Record<string, unknown>[] {
  const parsed = JSON.parse(json.toString()) as { nftables?: Record<string, unknown>[] };
  return (parsed.nftables ?? []).map((entry) => entry[kind]).filter(isObject);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function asSet(found: Record<string, unknown>): NftSet {
  const elements = found["elem"];
  return { name: String(found["name"]), elements: Array.isArray(elements) ? elements : [] };
}
