/** The door to nftables (nft(8)): one kept `nft -i` for what needs speed, and a process each for everything else. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, constants, ftruncateSync, openSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { TwinboardError } from "../errors.ts";
import { run } from "./process.ts";

const program = "nft";
/** A query that asks the kernel nothing; its answer comes after everything that the change before it had to say. */
const endQuery = "describe ipv4_addr";
const endAnswer = /datatype ipv4_addr [^\n]*\n$/;
/** The whole answer is one line, shorter than this. */
const endSearched = 200;
const readTimeoutMs = 5000;
const maxErrorBytes = 16_384;
/** A set of 100,000 addresses is 5 MB. */
const maxListBytes = 64 * 1024 * 1024;

/** Where a file without a name may be made, in memory if there is such a place. */
const fileDirectories = ["/dev/shm", "/run", tmpdir()];
/** Linux' O_TMPFILE, which Node has no name for (open(2)). */
const withoutName = 0o20_000_000 | constants.O_DIRECTORY;
/** The child's own name for it. */
const filePath = "/proc/self/fd/3";

interface Child {
  readonly process: ChildProcess;
  /**
   * A file without a name that the child has open too. From its input nft reads character by character, which costs as much as
   * all the rest of a takeover's transaction, from a file in pieces; `undefined` where no such file can be made.
   */
  readonly file: number | undefined;
  /** What it has said since it was asked last; only the end of it is searched for `endAnswer`. */
  stdout: string;
  stderr: string;
  /** Called when something arrived or the child ended. */
  wake: () => void;
  ended: Error | undefined;
  readonly closed: Promise<void>;
}

/**
 * Changes to nftables, one transaction each, and readings, in the order in which they were asked for.
 * Spawning `nft` costs 16 ms; a line to a kept one 0.3 ms.
 */
export class NftSession {
  #child: Child | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #changes = 0;

  /** How many changes it was asked for: what was read before the last of them may be out of date. */
  get changes(): number {
    return this.#changes;
  }

  /** Starts the child now, unless it is there, so that the next change need not wait for it. Errors: `missing-program`, `command-failed`. */
  async warmUp(): Promise<void> {
    await this.#last;
    if (this.#living === undefined) await this.change("");
  }

  /**
   * Carries out `statements` as one transaction: all of them or, with an error, none.
   * Errors: `command-failed` (the kernel or nft refused; nothing changed), `deadline-passed` (what became of it must be read),
   * `missing-program`.
   */
  async change(statements: string, timeoutMs = 5000): Promise<void> {
    if (statements.includes("\n")) throw new TwinboardError("internal", { detail: "a change is one line" });
    this.#changes += 1;
    await this.#inTurn(statements, timeoutMs, "file");
  }

  /**
   * All named sets and maps of a table in one consistent picture; `undefined` if there is no such table.
   * Errors: `command-failed`, `missing-program`, `deadline-passed`.
   */
  async readSets(family: string, table: string): Promise<readonly NftSet[] | undefined> {
    const query = `list sets table ${family} ${table}`;
    try {
      return setsOf(await this.#inTurn(query, readTimeoutMs), family, table);
    } catch (error) {
      const code = error instanceof TwinboardError ? error.code : undefined;
      // A child that hung or was killed is no answer of the kernel's: another is asked.
      const again = code === "deadline-passed" || code === "command-failed";
      if (!again) throw error;
      if (!(await hasTable(family, table))) return undefined;
      return setsOf(await this.#inTurn(query, readTimeoutMs), family, table);
    }
  }

  /** All that is in a table. Errors: `command-failed` (there is no such table, too), `missing-program`, `deadline-passed`. */
  async readTable(family: string, table: string): Promise<readonly NftObject[]> {
    return contentOf(await this.#inTurn(`list table ${family} ${table}`, readTimeoutMs));
  }

  /** Resolves with what nft printed. */
  async #inTurn(line: string, timeoutMs: number, by: "input" | "file" = "input"): Promise<string> {
    const turn = this.#last.then(() => this.#say(line, timeoutMs, by));
    this.#last = turn.catch(() => undefined);
    return await turn;
  }

  /** Ends the child; a later change starts another. */
  async close(): Promise<void> {
    await this.#last;
    await this.#end();
  }

  async #say(line: string, timeoutMs: number, by: "input" | "file"): Promise<string> {
    const child = this.#living ?? startChild();
    this.#child = child;
    child.stdout = "";
    child.stderr = "";
    const said = by === "file" && line !== "" ? inFile(child, line) : line;
    child.process.stdin?.write(`${said}\n${endQuery}\n`);
    try {
      await answered(child, timeoutMs);
    } catch (error) {
      // Only when the child is gone is it certain that the transaction comes to nothing more.
      await this.#end();
      throw error;
    }
    if (child.stderr !== "") throw refused(line, child.stderr);
    return child.stdout.replace(endAnswer, "");
  }

  get #living(): Child | undefined {
    return this.#child?.ended === undefined ? this.#child : undefined;
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
  const file = makeFile();
  const started = spawn(program, ["-j", "-i"], {
    stdio: ["pipe", "pipe", "pipe", ...(file === undefined ? [] : [file])],
    env: { ...env, HOME: "/nonexistent" },
  });
  const closed = Promise.withResolvers<void>();
  const child: Child = {
    process: started,
    file,
    stdout: "",
    stderr: "",
    wake: () => undefined,
    ended: undefined,
    closed: closed.promise,
  };
  started.stdout?.setEncoding("utf8").on("data", (text: string) => {
    child.stdout += text;
    if (child.stdout.length > maxListBytes) {
      end(
        new TwinboardError("command-failed", {
          detail: `${program} -i said more than ${maxListBytes} bytes`,
        }),
      );
    } else {
      child.wake();
    }
  });
  started.stderr?.setEncoding("utf8").on("data", (text: string) => {
    child.stderr = (child.stderr + text).slice(0, maxErrorBytes);
  });
  started.stdin?.on("error", () => undefined);
  const end = (error: Error): void => {
    if (child.ended === undefined && file !== undefined) closeSync(file);
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

/** Of the user's alone, and gone with those who have it open. */
function makeFile(): number | undefined {
  for (const directory of fileDirectories) {
    try {
      return openSync(directory, constants.O_RDWR | withoutName, 0o600);
    } catch {
      // Not there, or a file system that has no such files: the next.
    }
  }
  return undefined;
}

/** Writes the line where the child reads it, and returns what makes it do so: the line itself where there is no such file, or no room in it. */
function inFile({ file, ended }: Child, line: string): string {
  if (file === undefined || ended !== undefined) return line;
  const text = Buffer.from(`${line}\n`);
  try {
    // Half a change might be one that nft takes.
    if (writeSync(file, text, 0, text.length, 0) < text.length) return line;
    ftruncateSync(file, text.length);
  } catch {
    return line;
  }
  return `include "${filePath}"`;
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
      } else if (endAnswer.test(child.stdout.slice(-endSearched))) {
        clearTimeout(timer);
        // nft wrote its complaint before the answer, but into another pipe: read that one out before believing in success.
        setImmediate(resolve);
      }
    };
    child.wake();
  });
}

function refused(line: string, saying: string): TwinboardError {
  // Before it stands where: a place in what was said here, which no user has seen.
  const what = /\bError: .*/.exec(saying)?.[0] ?? saying.split("\n")[0] ?? "";
  return new TwinboardError("command-failed", { detail: `${program}: ${what} (${line.slice(0, 300)})` });
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

/** Something in a table, as `nft -j` lists it: `chain`, `rule`, `set`, `map`, … */
export interface NftObject {
  readonly kind: string;
  readonly value: Readonly<Record<string, unknown>>;
}

function contentOf(json: string): readonly NftObject[] {
  const parsed = JSON.parse(json) as { nftables?: Record<string, unknown>[] };
  return (parsed.nftables ?? []).flatMap((entry) =>
    Object.entries(entry).flatMap(([kind, value]) => (isObject(value) ? [{ kind, value }] : [])),
  );
}

/** Families in which there is a table of that name. Errors: `command-failed`, `missing-program`, `deadline-passed`. */
export async function familiesWith(table: string): Promise<string[]> {
  const { stdout } = await run(program, ["-j", "list", "tables"]);
  const found = objects(stdout.toString(), "table").filter(({ name }) => name === table);
  return found.map(({ family }) => String(family));
}

/** Whether the table exists. Errors: as `familiesWith`. */
export async function hasTable(family: string, table: string): Promise<boolean> {
  return (await familiesWith(table)).includes(family);
}

/** Removes a table that exists, with all that is in it. Errors: as `familiesWith`. */
export async function deleteTable(family: string, table: string): Promise<void> {
  await run(program, ["delete", "table", family, table]);
}

/** The sets of one table in what `nft -j list sets` printed: nft 1.0.6 prints those of every table, whatever table is named. Pure. */
export function setsOf(json: string, family: string, table: string): readonly NftSet[] {
  const ofTable = objects(json, "set").filter((set) => set["family"] === family && set["table"] === table);
  return ofTable.map(asSet);
}

function objects(json: string, kind: string): Readonly<Record<string, unknown>>[] {
  return contentOf(json).flatMap((object) => (object.kind === kind ? [object.value] : []));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function asSet(found: Readonly<Record<string, unknown>>): NftSet {
  const elements = found["elem"];
  return { name: String(found["name"]), elements: Array.isArray(elements) ? elements : [] };
}
