/** The console of a board in memory: what it says is kept, told to whoever follows, and what is typed is echoed. */
import { TwinboardError } from "../errors.ts";
import type { BoardConsole } from "./board.ts";

/** What is kept for a reader who is slow. */
const keptLines = 1000;

export class SimulatedConsole {
  readonly #lines: string[] = [];
  readonly #listeners = new Set<(line: string) => void>();
  #attached: AbortController | undefined;

  /** A new run: what the last one said is forgotten. */
  begin(): void {
    this.#lines.length = 0;
  }

  say(line: string): void {
    this.#lines.push(line);
    for (const listener of this.#listeners) listener(line);
  }

  tail(lines: number): string[] {
    return lines <= 0 ? [] : this.#lines.slice(-lines);
  }

  /** From this call on, whenever it is read. */
  follow(lines: number, signal: AbortSignal): AsyncIterable<string> {
    const waiting = this.tail(lines);
    let wake = Promise.withResolvers<void>();
    const listener = (line: string): void => {
      waiting.push(line);
      if (waiting.length > keptLines) waiting.splice(0, 2, "[lines are left out]");
      wake.resolve();
    };
    this.#listeners.add(listener);
    const end = (): void => {
      this.#listeners.delete(listener);
      wake.resolve();
    };
    signal.addEventListener("abort", end, { once: true });
    return (async function* () {
      while (!signal.aborted) {
        const line = waiting.shift();
        if (line !== undefined) yield line;
        else {
          await wake.promise;
          if (!signal.aborted) wake = Promise.withResolvers<void>();
        }
      }
    })();
  }

  attach(board: string, signal: AbortSignal): BoardConsole {
    signal.throwIfAborted();
    if (this.#attached !== undefined)
      throw new TwinboardError("console-in-use", { detail: `board ${board}` });
    const attached = new AbortController();
    this.#attached = attached;
    const over = AbortSignal.any([signal, attached.signal]);
    over.addEventListener("abort", () => {
      if (this.#attached === attached) this.#attached = undefined;
    });
    return {
      output: asBytes(this.follow(0, over)),
      write: (bytes) => {
        if (over.aborted) return Promise.reject(over.reason as Error);
        this.say(Buffer.from(bytes).toString().trimEnd());
        return Promise.resolve();
      },
    };
  }

  /** The board no longer runs. */
  detach(board: string): void {
    this.#attached?.abort(new TwinboardError("board-not-running", { detail: `board ${board}` }));
  }
}

async function* asBytes(lines: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  for await (const line of lines) yield Buffer.from(`${line}\r\n`);
}
