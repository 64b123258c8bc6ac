/**
 * The host's end of the virtio-serial port `org.twinboard.clock` (docs/board-kit.md): tells the time to the kit's program, which sets the
 * board's clock and answers. How long the answer took bounds how far the clock can be off.
 */
import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { TwinboardError } from "../../errors.ts";
import { orAborted } from "../../system/abort.ts";
import { LineCutter } from "../../system/text-lines.ts";

export interface ClockAccuracy {
  /** The clock is off by no more than this. */
  readonly boundMs: number;
  /** How often the time was told for that. */
  readonly rounds: number;
}

const lineLimitBytes = 64;
/** It is told again until it is as good as this, or, after so many rounds, as good as it must be. */
const wantedMs = 5;
const wantedRounds = 8;
/** A board whose clock may be off by more than this shall not be admitted, unless there is no way. */
export const requiredMs = 10;
/** A program that answers nothing for so long does not work. */
const silenceMs = 2000;
/** `Date.now` leaves fractions of a millisecond out. */
const fractionMs = 0.5;
/** Added to the first time that is told, as long as nothing is known of the way: it is told to a board that is just waking. */
const firstGuessMs = 2;

export class ClockPort {
  readonly #socket: Socket;
  /** Ids of this connection alone, so that an answer to an earlier daemon is not taken for ours. */
  readonly #idPrefix = randomBytes(4).toString("hex");
  #lastId = 0;
  readonly #onLate: () => void;
  readonly #asked = new Map<string, PromiseWithResolvers<number>>();
  #ended: Error | undefined;

  /**
   * @param socket connected, or about to be.
   * @param onLate what nobody waits for any more was taken all the same, much later perhaps: the clock is set to a time of then.
   */
  constructor(socket: Socket, onLate: () => void) {
    this.#socket = socket;
    this.#onLate = onLate;
    const cutter = new LineCutter(lineLimitBytes);
    socket.on("data", (chunk: Buffer) => {
      for (const line of cutter.push(chunk)) this.#hear(line);
    });
    socket.on("error", () => undefined);
    socket.on("close", () => this.close());
    if (socket.destroyed) this.close();
  }

  /**
   * Sets the board's clock to the host's, within `requiredMs` or as well as it can be done in `patienceMs`. Repeatable.
   * Errors: `hook-failed` (the program may not, with its error number), `deadline-passed` (it does not answer), `board-died` (the
   * port was closed); the signal's reason.
   */
  async set(patienceMs: number, signal: AbortSignal): Promise<ClockAccuracy> {
    const began = performance.now();
    let fastestMs = Number.POSITIVE_INFINITY;
    let aheadMs = firstGuessMs;
    for (let rounds = 1; ; rounds += 1) {
      const tookMs = await this.#tell(aheadMs, signal);
      // It was set when what was told was between none and all of `tookMs` old.
      const boundMs = Math.max(aheadMs, tookMs - aheadMs) + fractionMs;
      const good = boundMs <= (rounds < wantedRounds ? wantedMs : requiredMs);
      if (good || performance.now() - began > patienceMs) return { boundMs, rounds };
      fastestMs = Math.min(fastestMs, tookMs);
      aheadMs = Math.min(fastestMs / 2, wantedMs - fractionMs);
    }
  }

  /** Lets go of the port. Repeatable. */
  close(why = "the clock port was closed"): void {
    this.#ended ??= new TwinboardError("board-died", { detail: why });
    for (const { reject } of this.#asked.values()) reject(this.#ended);
    this.#socket.destroy();
  }

  /** Tells what the time will be in `aheadMs`. @returns how long the answer took, in milliseconds. */
  async #tell(aheadMs: number, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    if (this.#ended !== undefined) throw this.#ended;
    this.#lastId += 1;
    const id = `${this.#idPrefix}-${this.#lastId}`;
    const answer = Promise.withResolvers<number>();
    this.#asked.set(id, answer);
    const silence = setTimeout(() => answer.reject(silent()), silenceMs);
    try {
      const began = performance.now();
      const microseconds = BigInt(Date.now()) * 1000n + BigInt(Math.round((fractionMs + aheadMs) * 1000));
      const [seconds, rest] = [microseconds / 1_000_000n, microseconds % 1_000_000n];
      this.#socket.write(`${id} ${seconds} ${rest}000\n`);
      const code = await orAborted(answer.promise, signal);
      if (code !== 0) throw new TwinboardError("hook-failed", { detail: `clock: error ${code} of Linux` });
      return performance.now() - began;
    } finally {
      clearTimeout(silence);
      this.#asked.delete(id);
    }
  }

  #hear(line = ""): void {
    const [, id, code] = /^(\S+) (\d{1,4})$/.exec(line) ?? [];
    if (id === undefined) return;
    const asked = this.#asked.get(id);
    if (asked !== undefined) asked.resolve(Number(code));
    else if (Number(code) === 0) this.#onLate();
  }
}

function silent(): TwinboardError {
  return new TwinboardError("deadline-passed", {
    detail: `the answer of the clock's program (${silenceMs} ms)`,
  });
}
