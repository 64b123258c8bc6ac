/** Bytes that wait, first in, first out, in one piece of memory that is given back once nothing waits. */

const leastBytes = 4096;
/** A piece no larger than this is kept while nothing waits: most of what passes a line does not wait at all. */
const keptBytes = 65_536;

export class ByteQueue {
  #memory = Buffer.alloc(0);
  #start = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Copies: the caller may use its memory again. Who pushes keeps to a bound; the queue has none. */
  push(bytes: Uint8Array): void {
    if (this.#size + bytes.length > this.#memory.length) this.#grow(this.#size + bytes.length);
    const end = (this.#start + this.#size) % this.#memory.length;
    const first = bytes.subarray(0, this.#memory.length - end);
    this.#memory.set(first, end);
    this.#memory.set(bytes.subarray(first.length), 0);
    this.#size += bytes.length;
  }

  /** The first bytes, at most `most` and at least one if there are any; valid until the queue is used again. */
  peek(most: number): Buffer {
    const end = Math.min(this.#start + Math.min(most, this.#size), this.#memory.length);
    return this.#memory.subarray(this.#start, end);
  }

  /** Lets go of the first `count` bytes, at most all of them. */
  drop(count: number): void {
    const dropped = Math.min(count, this.#size);
    this.#size -= dropped;
    this.#start = this.#size === 0 ? 0 : (this.#start + dropped) % this.#memory.length;
    if (this.#size === 0 && this.#memory.length > keptBytes) this.#memory = Buffer.alloc(0);
  }

  #grow(neededBytes: number): void {
    const memory = Buffer.allocUnsafeSlow(Math.max(leastBytes, 2 ** Math.ceil(Math.log2(neededBytes))));
    const first = this.peek(this.#size);
    memory.set(first, 0);
    memory.set(this.#memory.subarray(0, this.#size - first.length), first.length);
    this.#memory = memory;
    this.#start = 0;
  }
}
