/**
 * The door to a card's wire: Ethernet frames leave as they are, past bridges and their rules (packet(7)), by a kept socat(1). Node has no
 * packet sockets. Receiving is not its business: the kernel drops what comes once the socket's queue is full.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { constants, setPriority } from "node:os";
import type { Readable, Writable } from "node:stream";

/** What socat says when it has opened both ends. */
const opened = /starting data transfer loop/;
const endTimeoutMs = 1000;
/** Frames that wait for a program that does not get on; more are dropped, for they are late already. */
const maxWaiting = 64;

/** Cards may have names that mean something in an address of socat's. */
function escaped(card: string): string {
  return card.replaceAll(/[^\w.-]/g, String.raw`\$&`);
}

export class FrameSender {
  readonly card: string;
  /** Resolves when frames leave, or when it is certain that none will. */
  readonly ready: Promise<void>;
  readonly #frameBytes: number;
  readonly #child: ChildProcessByStdio<Writable, null, Readable>;
  #failure: string | undefined;

  /** All frames are of one length: that is how the program at the other end of the pipe tells one from the next. */
  constructor(card: string, frameBytes: number) {
    this.card = card;
    this.#frameBytes = frameBytes;
    // Two -d: it tells when it is ready.
    const words = ["-d", "-d", "-u", "-b", String(frameBytes), "STDIN", `INTERFACE:${escaped(card)}`];
    this.#child = spawn("socat", words, { stdio: ["pipe", "ignore", "pipe"] });
    this.ready = this.#untilReady();
    this.#child.stdin.on("error", () => undefined);
    this.#child.unref();
    try {
      // What it sends is awaited on the wire, and costs next to nothing.
      if (this.#child.pid !== undefined) setPriority(this.#child.pid, constants.priority.PRIORITY_HIGHEST);
    } catch {
      // It sends as well as it can.
    }
    for (const stream of [this.#child.stdin, this.#child.stderr])
      (stream as unknown as { unref?: () => void }).unref?.();
  }

  /** Why no frame leaves; `undefined`: they do, as far as is known. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** Never waits. */
  send(frame: Buffer): void {
    const { stdin } = this.#child;
    if (this.#failure !== undefined || stdin.writableLength > maxWaiting * this.#frameBytes) return;
    stdin.write(frame);
  }

  /** Lets go of the card, after the frames that were sent. */
  close(): void {
    this.#failure ??= "closed";
    this.#child.stdin.end();
    setTimeout(() => this.#child.kill("SIGKILL"), endTimeoutMs).unref();
  }

  async #untilReady(): Promise<void> {
    await new Promise<void>((resolve) => {
      let said = "";
      this.#child.stderr.setEncoding("utf8").on("data", (text: string) => {
        said = `${said}${text}`.slice(-1000);
        if (opened.test(said)) resolve();
      });
      this.#child.once("error", (error) => {
        this.#failure ??= error.message;
        resolve();
      });
      this.#child.once("close", () => {
        this.#failure ??= / E (.*)/.exec(said)?.[1] ?? "socat ended";
        resolve();
      });
    });
  }
}
