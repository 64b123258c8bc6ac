/** Ends of a line in memory, for tests of its switch: what the kernel would hold between it and who is at the other side. */
import type { BoardEnd, OutsideEnd } from "./ends.ts";

class SimulatedEnd {
  /** Sent by the other side, and not read yet. */
  sent: number[] = [];
  /** Written to the other side, in order. */
  readonly taken: number[] = [];
  /** Bytes that can be written before the other side reads again. */
  room = Number.POSITIVE_INFINITY;
  open = true;
  listening = true;
  trouble = null;
  onTaken: (byte: number) => void = () => undefined;

  write(bytes: Buffer): number {
    const count = this.open ? Math.min(this.room, bytes.length) : 0;
    for (const byte of bytes.subarray(0, count)) {
      this.taken.push(byte);
      this.onTaken(byte);
    }
    this.room -= count;
    return count;
  }

  listen(on: boolean): void {
    this.listening = on;
  }

  takeSent(): Buffer {
    const bytes = Buffer.from(this.sent);
    this.sent = [];
    return bytes;
  }
}

export class SimulatedBoardEnd extends SimulatedEnd implements BoardEnd {}

export class SimulatedOutsideEnd extends SimulatedEnd implements OutsideEnd {
  keeps = true;
  breakMs: number | null = null;
  /** How many bytes had been written before each break. */
  readonly breaks: number[] = [];
  #break: PromiseWithResolvers<void> | undefined;

  get breaking(): boolean {
    return this.#break !== undefined;
  }

  sendBreak(): Promise<void> {
    this.breaks.push(this.taken.length);
    this.#break = Promise.withResolvers<void>();
    return this.#break.promise;
  }

  endBreak(): void {
    this.#break?.resolve();
    this.#break = undefined;
  }

  attempted(): Promise<void> {
    return Promise.resolve();
  }

  end(): Promise<void> {
    return Promise.resolve();
  }
}
