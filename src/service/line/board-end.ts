/** A board's end of a line: the broker's connection to the socket where the board's machine listens, made anew whenever there is one. */
import { readSync } from "node:fs";
import type { Socket } from "node:net";
import { connectForeign, type ForeignSocket } from "../../system/foreign-socket.ts";
import type { BoardEnd } from "./ends.ts";
import { descriptorOf, Outlet } from "./outlet.ts";

/** Where the board's machine listens, on the file system of the system's run directory. */
export type BoardPort = ForeignSocket;

export interface SocketEndOptions {
  /** Of the board, for sentences. */
  readonly name: string;
  /** Beginning of a name in a directory of our own. */
  readonly link: string;
  readonly onBytes: (bytes: Buffer) => void;
  /** It was opened, closed, or has room again. */
  readonly onChange: (change: "opened" | "closed" | "room") => void;
}

const soonestMs = 20;
const slowestMs = 500;
/** A connection that lasted so long was one; who accepts and closes at once is not tried again and again without a pause. */
const lastedMs = 1000;
const readBytes = 16_384;
/** No more is read at once, so that a board that floods costs no more than some percent of a processor. */
const burstBytes = 256 * 1024;
const burstMs = 10;
/**
 * What a sender can have in a unix socket at one time is less (socket(7), SO_SNDBUF; 208 KiB unless the host was told otherwise): whoever
 * goes on sending is not listened to for ever.
 */
const mostQueuedBytes = 1024 * 1024;

export class SocketEnd implements BoardEnd {
  readonly #options: SocketEndOptions;
  readonly #buffer = Buffer.allocUnsafeSlow(readBytes);
  #port: BoardPort | undefined;
  #socket: Socket | undefined;
  #outlet: Outlet | undefined;
  #open = false;
  #listening = true;
  #burst = 0;
  #delayMs = soonestMs;
  #timer: NodeJS.Timeout | undefined;
  #trouble: string | null;
  /** Counts the ports: what was begun for an earlier one is nobody's any more. */
  #era = 0;
  #links = 0;

  constructor(options: SocketEndOptions) {
    this.#options = options;
    this.#trouble = `board ${options.name} has no end of it`;
  }

  get open(): boolean {
    return this.#open;
  }

  get trouble(): string | null {
    return this.#open ? null : this.#trouble;
  }

  /** Connects to this port from here on; resolves after the first attempt. Repeatable: tries at once again. */
  async attach(port: BoardPort): Promise<void> {
    if (this.#open && this.#port?.path === port.path && this.#port.uid === port.uid) return;
    this.end();
    this.#port = port;
    this.#delayMs = soonestMs;
    await this.#connect(port, this.#era);
  }

  /** Lets go of the board. Repeatable. */
  end(): void {
    this.#era += 1;
    this.#port = undefined;
    clearTimeout(this.#timer);
    this.#letGo();
  }

  write(bytes: Buffer): number {
    return this.#open ? (this.#outlet?.write(bytes) ?? 0) : 0;
  }

  listen(on: boolean): void {
    this.#listening = on;
    this.#regulate();
  }

  takeSent(): Buffer {
    const taken: Buffer[] = [];
    let left = this.#open ? mostQueuedBytes : 0;
    while (left > 0 && this.#socket !== undefined) {
      const bytes = readNow(descriptorOf(this.#socket));
      if (bytes.length === 0) break;
      taken.push(bytes);
      left -= bytes.length;
    }
    return Buffer.concat(taken);
  }

  async #connect(port: BoardPort, era: number): Promise<void> {
    const name = `${this.#options.link}.${++this.#links}`;
    const current = (): boolean => era === this.#era;
    const callback = (bytes: number): boolean => this.#hear(bytes);
    try {
      const socket = await connectForeign(port, name, { buffer: this.#buffer, callback });
      if (current()) this.#adopt(socket, port, era);
      else socket.destroy();
    } catch (error) {
      if (!current()) return;
      this.#trouble = `board ${this.#options.name} has no end of it: ${why(error as NodeJS.ErrnoException, port.path)}`;
      this.#again(port, era);
    }
  }

  #adopt(socket: Socket, port: BoardPort, era: number): void {
    const opened = performance.now();
    const end = (): void => {
      if (this.#socket !== socket) return;
      this.#letGo();
      this.#trouble = `board ${this.#options.name} has closed its end of it`;
      if (era !== this.#era) return;
      if (performance.now() - opened >= lastedMs) this.#delayMs = soonestMs;
      this.#again(port, era);
    };
    socket.on("error", end);
    socket.on("close", end);
    this.#socket = socket;
    this.#outlet = new Outlet({
      fd: descriptorOf(socket),
      soonestMs: 1,
      slowestMs: 50,
      onRoom: () => this.#options.onChange("room"),
      onEnd: () => socket.destroy(),
    });
    this.#open = true;
    this.#options.onChange("opened");
    this.#regulate();
  }

  #letGo(): void {
    const was = this.#open;
    this.#outlet?.end();
    this.#socket?.destroy();
    this.#socket = undefined;
    this.#open = false;
    if (was) this.#options.onChange("closed");
  }

  #again(port: BoardPort, era: number): void {
    this.#timer = setTimeout(() => void this.#connect(port, era), this.#delayMs);
    this.#delayMs = Math.min(this.#delayMs * 2, slowestMs);
  }

  /** @returns whether more may come now. */
  #hear(count: number): boolean {
    if (this.#burst === 0) setTimeout(() => this.#rest(), burstMs);
    this.#burst += count;
    // A copy is what the queues make; what is not kept needs none.
    this.#options.onBytes(this.#buffer.subarray(0, count));
    return this.#mayHear;
  }

  get #mayHear(): boolean {
    return this.#listening && this.#burst < burstBytes;
  }

  #rest(): void {
    this.#burst = 0;
    this.#regulate();
  }

  #regulate(): void {
    if (this.#mayHear) this.#socket?.resume();
    else this.#socket?.pause();
  }
}

/** What the socket has by now; nothing as well if its other side has ended or failed, which Node finds out by itself. */
function readNow(fd: number): Buffer {
  const buffer = Buffer.allocUnsafe(readBytes);
  try {
    return buffer.subarray(0, readSync(fd, buffer));
  } catch {
    return Buffer.alloc(0);
  }
}

function why({ code, message }: NodeJS.ErrnoException, path: string): string {
  if (code === "ENOENT") return `${path} is not there`;
  if (code === "ECONNREFUSED") return `nobody listens at ${path}`;
  return message;
}
