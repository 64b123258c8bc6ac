/**
 * A client of QEMU's machine protocol: one JSON object a line over a unix socket
 * (QEMU, "QMP protocol specification": a greeting, `qmp_capabilities`, then commands with ids and events between them).
 */
import type { Socket } from "node:net";
import { TwinboardError } from "../../errors.ts";
import { LineCutter } from "../../system/text-lines.ts";

/** Answers of the commands that a board needs are below a kilobyte; a QEMU that sends more than this has lost its way. */
const lineLimitBytes = 1024 * 1024;

export interface QmpEvent {
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface QmpOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds for one command's answer, the greeting too. Default 5 s. */
  readonly timeoutMs?: number;
  /** Called for each event in order; must not throw. */
  readonly onEvent?: (event: QmpEvent) => void;
  /** Called once when the connection has ended, with the reason, unless `close` ended it. */
  readonly onEnd?: (reason: Error) => void;
}

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

type Json = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export class QmpConnection {
  readonly #socket: Socket;
  readonly #options: QmpOptions;
  readonly #cutter = new LineCutter(lineLimitBytes);
  readonly #pending = new Map<number | "greeting", Pending>();
  #lastId = 0;
  #ended: Error | undefined;

  private constructor(socket: Socket, options: QmpOptions) {
    this.#socket = socket;
    this.#options = options;
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("error", (error) => this.#end(lost(error.message, error)));
    socket.on("close", () => this.#end(lost("it closed the socket")));
    if (socket.destroyed) this.#end(lost("it closed the socket"));
  }

  /**
   * Negotiates on a socket that is connected, or about to be; QEMU serves one client at a time, so a second one waits for its greeting until the deadline.
   * Errors: `board-died` (nobody listens, or the connection ended), `deadline-passed`, `command-failed`; the signal's reason.
   */
  static async open(socket: Socket, options: QmpOptions = {}): Promise<QmpConnection> {
    const connection = new QmpConnection(socket, options);
    try {
      options.signal?.throwIfAborted();
      await connection.#await("greeting", "greeting");
      await connection.execute("qmp_capabilities");
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /**
   * Runs one command and resolves with its `return` value.
   * Errors: `command-failed` (QEMU refused it), `board-died` (the connection ended), `deadline-passed`; the signal's reason.
   */
  async execute(command: string, args?: Json, signal?: AbortSignal): Promise<unknown> {
    signal?.throwIfAborted();
    if (this.#ended !== undefined) throw this.#ended;
    const id = ++this.#lastId;
    const answer = this.#await(id, command, signal);
    this.#socket.write(
      `${JSON.stringify({ execute: command, ...(args === undefined ? {} : { arguments: args }), id })}\n`,
    );
    return await answer;
  }

  /** Ends the connection; what is pending is rejected, `onEnd` is not called. Repeatable. */
  close(): void {
    this.#ended ??= lost("the daemon let go of it");
    this.#rejectAll(this.#ended);
    this.#socket.destroy();
  }

  /** Keeps the daemon's process alive no longer by this connection alone. */
  unref(): void {
    this.#socket.unref();
  }

  #await(id: number | "greeting", what: string, signal = this.#options.signal): Promise<unknown> {
    const { timeoutMs = 5000 } = this.#options;
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
        this.#pending.delete(id);
      };
      const pending: Pending = {
        resolve: (value) => {
          settle();
          resolve(value);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      };
      const timer = setTimeout(
        () =>
          pending.reject(
            new TwinboardError("deadline-passed", { detail: `QEMU's answer to ${what} (${timeoutMs} ms)` }),
          ),
        timeoutMs,
      );
      const abort = (): void => pending.reject(signal?.reason as Error);
      signal?.addEventListener("abort", abort, { once: true });
      this.#pending.set(id, pending);
    });
  }

  #receive(chunk: Buffer): void {
    for (const line of this.#cutter.push(chunk)) {
      if (line === undefined) {
        this.#end(lost(`a line of more than ${lineLimitBytes} bytes`));
        return;
      }
      if (line !== "" && !this.#understand(line)) {
        this.#end(lost(`not a message: ${line.slice(0, 200)}`));
        return;
      }
    }
  }

  /** `false` if the line is no message of the protocol. */
  #understand(line: string): boolean {
    let message: unknown;
    try {
      message = JSON.parse(line);
    } catch {
      return false;
    }
    if (!isObject(message)) return false;
    if (isObject(message["QMP"])) this.#pending.get("greeting")?.resolve(message["QMP"]);
    else if (typeof message["event"] === "string") {
      const data = isObject(message["data"]) ? message["data"] : {};
      this.#options.onEvent?.({ event: message["event"], data });
    } else if (typeof message["id"] === "number" && "return" in message) {
      // An id that nobody waits for belongs to a command whose deadline has passed.
      this.#pending.get(message["id"])?.resolve(message["return"]);
    } else if (isObject(message["error"])) {
      const { desc } = message["error"];
      const error = new TwinboardError("command-failed", {
        detail: `QEMU: ${typeof desc === "string" ? desc.slice(0, 500) : "no reason given"}`,
      });
      // Without an id QEMU could not even read the command, so nobody's answer will come.
      if (typeof message["id"] === "number") this.#pending.get(message["id"])?.reject(error);
      else this.#rejectAll(error);
    } else return false;
    return true;
  }

  #rejectAll(error: Error): void {
    for (const pending of this.#pending.values()) pending.reject(error);
  }

  #end(reason: Error): void {
    if (this.#ended !== undefined) return;
    this.#ended = reason;
    this.#socket.destroy();
    this.#rejectAll(reason);
    this.#options.onEnd?.(reason);
  }
}

function lost(why: string, cause?: Error): TwinboardError {
  return new TwinboardError("board-died", { detail: `the connection to QEMU was lost: ${why}`, cause });
}
