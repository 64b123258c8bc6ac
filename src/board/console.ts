/**
 * A board's console: a file that QEMU appends to, whether or not a daemon runs. Its size is bounded twice: QEMU runs under a limit
 * on file sizes (setrlimit(2), RLIMIT_FSIZE), past which the kernel refuses what it writes, and the daemon keeps only the last part
 * of a file that has grown. Whoever follows it reads the file too, so a board never waits for a reader.
 */
import { type FSWatcher, watch } from "node:fs";
import { type FileHandle, open, rename, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { LineCutter } from "../system/text-lines.ts";
import type { BoardName } from "./board.ts";

/** What QEMU may write while no daemon looks after the file. */
export const consoleHardLimitBytes = 4 * 1024 * 1024;
const trimAtBytes = 512 * 1024;
const keptBytes = 128 * 1024;
const chunkBytes = 64 * 1024;
const lineLimitBytes = 4096;
/** How often a file is looked at whose changes the kernel does not tell: one that is not there yet. */
const lookMs = 250;

/** The console of a board, by the place where it is kept. */
export function consoleOf(stateDirectory: string, board: BoardName): ConsoleLog {
  return new ConsoleLog(join(stateDirectory, `board-${board}.console`));
}

/** A part of the console. */
interface Part {
  readonly bytes: Buffer;
  /** Bytes that came before it and are no longer kept. */
  readonly leftOut: number;
  /** Where the next part begins. */
  readonly next: number;
}

export class ConsoleLog {
  readonly path: string;
  /** Bytes that were in the file and are not any more; a position counts them and those in the file. */
  #dropped = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(path: string) {
    this.path = path;
  }

  /** Forgets the last run and opens the file for the next one, to append. */
  async begin(): Promise<FileHandle> {
    return await this.#inTurn(async () => {
      const dropped = await sizeOf(this.path);
      await writeFile(this.#earlierPath, "", { mode: 0o600 });
      await writeFile(this.path, "", { mode: 0o600 });
      this.#dropped += dropped;
      return await open(this.path, "a");
    });
  }

  /** The last lines, at most `lines` of them; none if there never was a console. */
  async tail(lines: number): Promise<string[]> {
    const text = plain(await this.#inTurn(() => this.#kept()));
    if (text === "" || lines <= 0) return [];
    return text.replace(/\n$/, "").split("\n").slice(-lines);
  }

  /** What is written after it has resolved, until the signal aborts. What was too quick for the reader is told by a line in its place. */
  async follow(signal: AbortSignal): Promise<AsyncIterable<Buffer>> {
    const position = await this.#inTurn(async () => this.#dropped + (await sizeOf(this.path)));
    return this.#from(position, signal);
  }

  /** The last lines, at most `lines` of them, then each as soon as it is complete, until the signal aborts. */
  async *followLines(lines: number, signal: AbortSignal): AsyncGenerator<string> {
    const { text, position } = await this.#inTurn(async () => {
      const position = this.#dropped + (await sizeOf(this.path));
      return { text: await this.#kept(), position };
    });
    const complete = text.lastIndexOf("\n") + 1;
    if (complete > 0 && lines > 0)
      yield* plain(text.slice(0, complete - 1))
        .split("\n")
        .slice(-lines);
    const cutter = new LineCutter(lineLimitBytes);
    cutter.push(Buffer.from(text.slice(complete)));
    for await (const chunk of this.#from(position, signal)) {
      for (const line of cutter.push(chunk))
        yield line === undefined ? `[a line of more than ${lineLimitBytes} bytes is left out]` : plain(line);
    }
  }

  /** Keeps only the last part of a file that has grown. What is written in the very same moment may be lost. */
  async trim(): Promise<void> {
    await this.#inTurn(async () => {
      const size = await sizeOf(this.path);
      if (size < trimAtBytes) return;
      await writeFile(`${this.#earlierPath}.new`, await lastPart(this.path), { mode: 0o600 });
      await rename(`${this.#earlierPath}.new`, this.#earlierPath);
      // QEMU's end is open to append, so its next byte is the first of the emptied file.
      await truncate(this.path, 0);
      this.#dropped += size;
    });
  }

  async *#from(start: number, signal: AbortSignal): AsyncGenerator<Buffer> {
    let position = start;
    using changes = new Changes(this.path);
    while (!signal.aborted) {
      const change = changes.next(signal);
      const { bytes, leftOut, next } = await this.#inTurn(() => this.#read(position));
      position = next;
      if (leftOut > 0) yield Buffer.from(`\r\n[twinboard: ${leftOut} bytes are left out]\r\n`);
      if (bytes.length > 0) yield bytes;
      else await change;
    }
  }

  async #read(position: number): Promise<Part> {
    if (position < this.#dropped) {
      const earlier = await sizeOf(this.#earlierPath);
      const at = Math.max(0, earlier - (this.#dropped - position));
      const bytes = await readPart(this.#earlierPath, at, chunkBytes);
      const leftOut = this.#dropped - (earlier - at) - position;
      return { bytes, leftOut, next: position + leftOut + bytes.length };
    }
    // Another may have emptied the file.
    const at = Math.min(position - this.#dropped, await sizeOf(this.path));
    const bytes = await readPart(this.path, at, chunkBytes);
    return { bytes, leftOut: 0, next: this.#dropped + at + bytes.length };
  }

  async #kept(): Promise<string> {
    return `${(await lastPart(this.#earlierPath)).toString()}${(await lastPart(this.path)).toString()}`;
  }

  /** Nobody reads while the file is being emptied. */
  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return await turn;
  }

  get #earlierPath(): string {
    return `${this.path}.earlier`;
  }
}

/** Tells that a file has changed, or that it is time to look. */
class Changes implements Disposable {
  readonly #path: string;
  #watcher: FSWatcher | undefined;
  #changed = Promise.withResolvers<void>();

  constructor(path: string) {
    this.#path = path;
  }

  /** Resolves with the next change from here on, or when the signal aborts. */
  async next(signal: AbortSignal): Promise<void> {
    this.#changed = Promise.withResolvers();
    this.#watcher ??= this.#watch();
    const stop = new AbortController();
    const over = AbortSignal.any([signal, stop.signal]);
    const look = sleep(lookMs, undefined, { signal: over, ref: false }).catch(() => undefined);
    await Promise.race([this.#changed.promise, look]);
    stop.abort();
  }

  [Symbol.dispose](): void {
    this.#watcher?.close();
  }

  #watch(): FSWatcher | undefined {
    try {
      const watcher = watch(this.#path, { persistent: false }, () => this.#changed.resolve());
      watcher.on("error", () => undefined);
      return watcher;
    } catch {
      // There is no file yet.
      return undefined;
    }
  }
}

/** A terminal's control sequences (ECMA-48) and carriage returns say nothing in a log; also those of one character, U+0080 to U+009F. */
// oxlint-disable-next-line no-control-regex -- they are what is looked for
const unspoken = /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]|[\r\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

function plain(text: string): string {
  return text.replaceAll(unspoken, "");
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0;
}

async function lastPart(path: string): Promise<Buffer> {
  return await readPart(path, Math.max(0, (await sizeOf(path)) - keptBytes), keptBytes);
}

/** Nothing if there is no such file. */
async function readPart(path: string, position: number, most: number): Promise<Buffer> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch {
    return Buffer.alloc(0);
  }
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(most), 0, most, position);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
