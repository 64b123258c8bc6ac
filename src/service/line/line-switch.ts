/**
 * The switch of one line: which board the outside reaches, what waits for whom, and in what order it leaves. It knows nothing of
 * sockets and devices (`ends.ts`), has no clock, and each call is over when it returns, so no byte is ever between two states.
 *
 * - From outside: bytes go to the holder, or wait, within a bound; then the outside is no longer listened to.
 * - From the holder: bytes go outside, or wait, within a bound; then the holder is no longer listened to. Once it is relieved, what it had
 *   sent before leaves first.
 * - From the other board: bytes are read, so that it does not hang on them, counted, and thrown away.
 * - While the line is leased, the board that held it is not listened to: if it holds again, it has lost nothing.
 */
import { type BoardName, boardNames } from "../../board/board.ts";
import { TwinboardError } from "../../errors.ts";
import { ByteQueue } from "./byte-queue.ts";
import type { BoardEnd, OutsideEnd } from "./ends.ts";

export interface LineCounters {
  /** Read from outside. */
  readonly inBytes: number;
  /** Written to the outside. */
  readonly outBytes: number;
  /** Read from outside, and waiting for a holder that takes them. */
  readonly waitingBytes: number;
  /** Sent by a holder, and waiting for the outside. */
  readonly leavingBytes: number;
  /** Sent by a board that did not hold: thrown away. */
  readonly refusedBytes: number;
  /** Sent by a holder and lost: the line was not there. */
  readonly lostBytes: number;
}

export interface LineHolding {
  readonly holder: BoardName | null;
  readonly leasedTo: BoardName | null;
  readonly epoch: number;
}

export interface LineSwitchOptions {
  readonly boards: Readonly<Record<BoardName, BoardEnd>>;
  readonly outside: OutsideEnd;
  /** Bytes that may wait in each direction before nobody is listened to any more. */
  readonly bufferBytes: number;
  /** Called when bytes have left to the outside, or were given up. */
  readonly onLeft?: () => void;
}

/** In one write: a board's socket takes so much whole or not at all, and what is small fills it sooner, so that a board that hangs swallows less. */
const writeBytes = 1024;
/** What boards had sent before each of several leases may wait for an outside that takes nothing; beyond this it is lost. */
const mostLeavingBytes = 1024 * 1024;

/** What a holder has sent, as long as it held without interruption. */
interface Term {
  readonly board: BoardName;
  readonly sent: ByteQueue;
  breakFirst: boolean;
}

export class LineSwitch {
  readonly #boards: Readonly<Record<BoardName, BoardEnd>>;
  readonly #onLeft: () => void;
  #outside: OutsideEnd;
  #bufferBytes: number;
  #holding: LineHolding = { holder: null, leasedTo: null, epoch: 0 };
  /** Whom the line was leased from, for as long as it is leased. */
  #relieved: BoardName | null = null;
  #lastHolder: BoardName | null = null;
  readonly #waiting = new ByteQueue();
  #terms: Term[] = [];
  #breaking = false;
  /** Nobody is listened to until half of what waits is gone: else it would be stopped and started for each byte. */
  #waitingFull = false;
  #leavingFull = false;
  readonly #counted = { inBytes: 0, outBytes: 0, refusedBytes: 0, lostBytes: 0 };

  constructor({ boards, outside, bufferBytes, onLeft = () => undefined }: LineSwitchOptions) {
    this.#boards = boards;
    this.#outside = outside;
    this.#bufferBytes = bufferBytes;
    this.#onLeft = onLeft;
  }

  get holding(): LineHolding {
    return this.#holding;
  }

  get counters(): LineCounters {
    return { ...this.#counted, waitingBytes: this.#waiting.size, leavingBytes: this.#leavingBytes };
  }

  /** Bytes that the board sent while it held, and that still wait for the outside. */
  owedTo(board: BoardName): number {
    return this.#terms.reduce((sum, term) => sum + (term.board === board ? term.sent.size : 0), 0);
  }

  /** From here on no board is reached, and none is listened to. Repeatable. Errors: `stale-epoch`. */
  lease(to: BoardName, epoch: number): void {
    this.#admit(epoch);
    const { holder } = this.#holding;
    if (holder !== null) {
      this.#takeAllOf(holder);
      this.#relieved = holder;
    }
    this.#holding = { holder: null, leasedTo: to, epoch };
    this.turn();
  }

  /** `board` is reached from here on, what waited first; `null`: nobody. Repeatable. Errors: `stale-epoch`. */
  settle(board: BoardName | null, epoch: number): void {
    this.#admit(epoch);
    const { holder } = this.#holding;
    if (holder !== board) {
      if (holder !== null) this.#takeAllOf(holder);
      // What a board has sent while it did not hold must not be taken for what it sends now.
      for (const name of boardNames)
        if (name !== holder && !(name === this.#relieved && name === board))
          this.#counted.refusedBytes += this.#boards[name].takeSent().length;
      if (board !== null) this.#begin(board);
    }
    this.#relieved = null;
    this.#holding = { holder: board, leasedTo: null, epoch };
    this.turn();
  }

  /** The outside and the bound from here on; what waits stays. */
  change(outside: OutsideEnd, bufferBytes: number): void {
    this.#outside = outside;
    this.#bufferBytes = bufferBytes;
    this.turn();
  }

  fromOutside(bytes: Uint8Array): void {
    this.#counted.inBytes += bytes.length;
    this.#waiting.push(bytes);
    this.turn();
  }

  fromBoard(board: BoardName, bytes: Uint8Array): void {
    if (board === this.#holding.holder) this.#keep(board, bytes);
    else this.#counted.refusedBytes += bytes.length;
    this.turn();
  }

  /** A board's end has closed: what it is connected to next is another run of it. */
  closed(board: BoardName): void {
    if (this.#relieved === board) this.#relieved = null;
    this.turn();
  }

  /** Moves what can be moved, and says who is listened to: after anything has changed, an end that opened or has room again too. */
  turn(): void {
    this.#feed();
    this.#send();
    const { holder } = this.#holding;
    this.#waitingFull = isFull(this.#waitingFull, this.#waiting.size, this.#bufferBytes);
    this.#leavingFull = isFull(this.#leavingFull, this.#leavingBytes, this.#bufferBytes);
    this.#outside.listen(!this.#waitingFull);
    for (const board of boardNames)
      this.#boards[board].listen(board === holder ? !this.#leavingFull : board !== this.#relieved);
  }

  get #leavingBytes(): number {
    return this.#terms.reduce((sum, { sent }) => sum + sent.size, 0);
  }

  #admit(epoch: number): void {
    if (epoch >= this.#holding.epoch) return;
    const detail = `epoch ${epoch}, and ${this.#holding.epoch} was seen before`;
    throw new TwinboardError("stale-epoch", { detail });
  }

  #begin(board: BoardName): void {
    const changed = this.#lastHolder !== null && this.#lastHolder !== board;
    this.#lastHolder = board;
    // Taken back from a lease: its term goes on.
    if (this.#terms.at(-1)?.board === board && !changed) return;
    this.#terms.push({ board, sent: new ByteQueue(), breakFirst: changed });
  }

  #takeAllOf(holder: BoardName): void {
    this.#keep(holder, this.#boards[holder].takeSent());
  }

  #keep(board: BoardName, bytes: Uint8Array): void {
    const term = this.#terms.at(-1);
    if (term?.board !== board) throw new TwinboardError("internal", { detail: `board ${board} has no term` });
    const room = Math.max(0, mostLeavingBytes + this.#bufferBytes - this.#leavingBytes);
    term.sent.push(bytes.subarray(0, room));
    this.#counted.lostBytes += Math.max(0, bytes.length - room);
  }

  #feed(): void {
    const { holder } = this.#holding;
    if (holder === null) return;
    while (this.#waiting.size > 0 && this.#boards[holder].open) {
      const bytes = this.#waiting.peek(writeBytes);
      const taken = this.#boards[holder].write(bytes);
      this.#waiting.drop(taken);
      if (taken < bytes.length) return;
    }
  }

  #send(): void {
    const before = this.#leavingBytes;
    while (!this.#breaking) {
      const [term] = this.#terms;
      if (term === undefined) break;
      if (!this.#outside.open) {
        if (!this.#outside.keeps) this.#giveUp();
        break;
      }
      if (term.breakFirst) this.#break(term);
      else if (term.sent.size > 0) {
        const bytes = term.sent.peek(writeBytes);
        const taken = this.#outside.write(bytes);
        term.sent.drop(taken);
        this.#counted.outBytes += taken;
        if (taken < bytes.length) break;
      } else if (this.#terms.length > 1) this.#terms.shift();
      else break;
    }
    if (this.#leavingBytes < before) this.#onLeft();
  }

  /** Nothing is at the other end of the wire. */
  #giveUp(): void {
    this.#counted.lostBytes += this.#leavingBytes;
    this.#terms = this.#terms
      .slice(-1)
      .map(({ board }) => ({ board, sent: new ByteQueue(), breakFirst: false }));
  }

  #break(term: Term): void {
    term.breakFirst = false;
    if (this.#outside.breakMs === null) return;
    this.#breaking = true;
    void this.#outside.sendBreak().finally(() => {
      this.#breaking = false;
      this.turn();
    });
  }
}

function isFull(before: boolean, size: number, limit: number): boolean {
  return size >= limit || (before && size > limit / 2);
}
