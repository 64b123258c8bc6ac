/** The host's end of the virtio-serial port `org.twinboard.notify`: a unix socket that QEMU keeps for one client. */
import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { TwinboardError } from "../../errors.ts";
import { orAborted } from "../../system/abort.ts";
import { type GuestMessage, GuestMessageReader } from "../guest-message.ts";

export class NotifyPort {
  readonly #socket: Socket;
  readonly #reader = new GuestMessageReader();
  readonly #asked = new Map<string, PromiseWithResolvers<string>>();
  /** Ids of this connection alone, so that an answer to an earlier daemon is not taken for ours. */
  readonly #idPrefix = randomBytes(4).toString("hex");
  #lastId = 0;
  #ended: Error | undefined;

  /** Asks the board to tell its last state again. @param socket connected, or about to be. */
  constructor(socket: Socket, onMessage: (message: GuestMessage) => void) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => {
      for (const message of this.#reader.push(chunk)) {
        for (const { to, id, outcome } of message.answers) this.#asked.get(`${to} ${id}`)?.resolve(outcome);
        onMessage(message);
      }
    });
    socket.on("error", () => undefined);
    socket.on("close", () => this.close());
    if (socket.destroyed) this.close();
    this.askForState();
  }

  askForState(): void {
    this.#socket.write("state\n");
  }

  /** Runs a hook inside the board; its exit status, or `absent`. Errors: `board-died`; the signal's reason. */
  async hook(name: string, signal: AbortSignal): Promise<string> {
    return await this.#ask("hook", name, signal);
  }

  /** Sets the board's clock to a whole second since 1970, now. Errors: `board-died`; the signal's reason. */
  async clock(seconds: number, signal: AbortSignal): Promise<string> {
    return await this.#ask("clock", String(seconds), signal);
  }

  /** Lets go of the port; whoever waits for an answer learns why. Repeatable. */
  close(why = "the notify port was closed"): void {
    this.#ended ??= new TwinboardError("board-died", { detail: why });
    for (const { reject } of this.#asked.values()) reject(this.#ended);
    this.#socket.destroy();
  }

  async #ask(what: "hook" | "clock", argument: string, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted();
    if (this.#ended !== undefined) throw this.#ended;
    const id = `${this.#idPrefix}-${++this.#lastId}`;
    const asked = Promise.withResolvers<string>();
    this.#asked.set(`${what} ${id}`, asked);
    this.#socket.write(`${what} ${id} ${argument}\n`);
    try {
      return await orAborted(asked.promise, signal);
    } finally {
      this.#asked.delete(`${what} ${id}`);
    }
  }
}
