/**
 * Writing to a descriptor that does not block, known to the byte. Node's own streams take a piece whole and tell when all of it is gone; of
 * one that is stuck nobody could say what the board that hangs has of it and what the next one must get.
 */
import { writeSync } from "node:fs";
import type { Socket } from "node:net";
import { TwinboardError } from "../../errors.ts";

export interface OutletOptions {
  /** Of a socket or tty that was opened with O_NONBLOCK. */
  readonly fd: number;
  /** After how many milliseconds it is tried again; twice as many each time, up to `slowestMs`. */
  readonly soonestMs: number;
  readonly slowestMs: number;
  /** It is worth trying again. */
  readonly onRoom: () => void;
  /** The other side is gone. */
  readonly onEnd: (error: NodeJS.ErrnoException) => void;
}

export class Outlet {
  readonly #options: OutletOptions;
  #timer: NodeJS.Timeout | undefined;
  #delayMs: number;
  #ended = false;

  constructor(options: OutletOptions) {
    this.#options = options;
    this.#delayMs = options.soonestMs;
  }

  /** How many of the bytes were taken; fewer than all: `onRoom` follows. */
  write(bytes: Uint8Array): number {
    if (this.#ended || this.#timer !== undefined || bytes.length === 0) return 0;
    const taken = this.#try(bytes);
    if (taken > 0) this.#delayMs = this.#options.soonestMs;
    if (taken < bytes.length && !this.#ended) this.#wait();
    return taken;
  }

  /** Nothing is told any more. Repeatable. */
  end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
  }

  #try(bytes: Uint8Array): number {
    try {
      return writeSync(this.#options.fd, bytes);
    } catch (error) {
      const failure = error as NodeJS.ErrnoException;
      if (failure.code === "EAGAIN") return 0;
      this.end();
      // Whoever writes is in the middle of something.
      process.nextTick(this.#options.onEnd, failure);
      return 0;
    }
  }

  #wait(): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#options.onRoom();
    }, this.#delayMs);
    this.#delayMs = Math.min(this.#delayMs * 2, this.#options.slowestMs);
  }
}

/** The descriptor of a connected socket, which Node has but does not document. Errors: `internal`. */
export function descriptorOf(socket: Socket): number {
  const { fd } = Object(Reflect.get(socket, "_handle")) as { readonly fd?: unknown };
  if (typeof fd === "number" && fd >= 0) return fd;
  throw new TwinboardError("internal", { detail: "this Node does not tell a socket's descriptor" });
}
