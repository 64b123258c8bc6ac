/**
 * Somebody at a board's console: reads what QEMU appends to the log, and types into the FIFO that QEMU reads (QEMU's `pipe` chardev).
 * Both have names, so a machine that an earlier daemon started can be attached to; and neither makes the machine wait for a reader.
 */
import { constants, type FileHandle, open } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { TwinboardError } from "../errors.ts";
import type { BoardConsole } from "./board.ts";
import type { ConsoleLog } from "./console.ts";

/** A board that takes nothing from its serial port is asked again so soon. */
const fullPauseMs = 20;

export class ConsoleAttachment implements BoardConsole {
  readonly output: AsyncIterable<Uint8Array>;
  readonly #input: FileHandle;
  readonly #over: AbortSignal;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(input: FileHandle, output: AsyncIterable<Uint8Array>, over: AbortSignal) {
    this.#input = input;
    this.#over = over;
    this.output = output;
    over.addEventListener("abort", () => void this.#close(), { once: true });
  }

  /** Lasts until `over` aborts. Errors: `board-not-running` (nobody reads what is typed). */
  static async open(inputPath: string, log: ConsoleLog, over: AbortSignal): Promise<ConsoleAttachment> {
    // The directory belongs to the machine's user, who could put anything in the FIFO's place.
    const flags = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;
    const input = await open(inputPath, flags).catch((cause: unknown) => {
      throw new TwinboardError("board-not-running", {
        detail: `nobody reads its console's input, ${inputPath}`,
        cause,
      });
    });
    const isFifo = (await input.stat()).isFIFO();
    const output = await log.follow(over);
    if (isFifo && !over.aborted) return new ConsoleAttachment(input, output, over);
    await input.close();
    over.throwIfAborted();
    throw new TwinboardError("board-not-running", { detail: `${inputPath} is not its console's input` });
  }

  async write(bytes: Uint8Array): Promise<void> {
    const turn = this.#last.then(() => this.#write(bytes));
    this.#last = turn.catch(() => undefined);
    await turn;
  }

  async #close(): Promise<void> {
    await this.#last;
    await this.#input.close();
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let written = 0; written < bytes.length; ) {
      this.#over.throwIfAborted();
      try {
        written += (await this.#input.write(bytes, written)).bytesWritten;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EAGAIN")
          throw new TwinboardError("board-not-running", { detail: "it takes no input", cause: error });
        await sleep(fullPauseMs, undefined, { signal: this.#over });
      }
    }
  }
}
