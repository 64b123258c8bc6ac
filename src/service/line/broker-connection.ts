/** The daemon's connection to the broker of its system's lines. */
import { connect, type Socket } from "node:net";
import { type ErrorCode, errorTable, TwinboardError } from "../../errors.ts";
import { orAborted } from "../../system/abort.ts";
import { LineCutter } from "../../system/text-lines.ts";
import {
  type Answer,
  type Greeting,
  greetingKind,
  messageLimitBytes,
  parsed,
  protocol,
  type RequestName,
  type Requests,
} from "./protocol.ts";

const answerTimeoutMs = 5000;

export class BrokerConnection {
  readonly #socket: Socket;
  readonly #cutter = new LineCutter(messageLimitBytes);
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #greeted = Promise.withResolvers<Greeting>();
  readonly #ended = Promise.withResolvers<"us" | "broker">();
  #greeting: Greeting | undefined;
  #lastId = 0;
  #open = true;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => {
      for (const line of this.#cutter.push(chunk)) this.#hear(line);
    });
    socket.on("error", () => undefined);
    socket.on("close", () => this.#end("broker"));
    this.#greeted.promise.catch(() => undefined);
  }

  /**
   * `undefined`: nobody listens there. It does not keep the process from ending. Errors: `deadline-passed`; the signal's reason.
   */
  static async open(path: string, signal: AbortSignal): Promise<BrokerConnection | undefined> {
    signal.throwIfAborted();
    const socket = connect(path);
    const reached = await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
    });
    if (!reached) return undefined;
    const connection = new BrokerConnection(socket);
    try {
      connection.#greeting = await connection.#limited(connection.#greeted.promise, answerTimeoutMs, signal);
      socket.unref();
      return connection;
    } catch (error) {
      socket.destroy();
      // It ended while we came.
      if (error instanceof TwinboardError && error.code === "service-not-set-up") return undefined;
      throw error;
    }
  }

  /** Of the broker's process. */
  get pid(): number {
    return Number(this.#greeting?.pid);
  }

  /** Errors: `line-broker-unsuitable`. */
  requireSuitable(): void {
    const { broker, protocol: its } = this.#greeting ?? {};
    if (broker === greetingKind && its === protocol) return;
    const told =
      broker === greetingKind ? `it speaks protocol ${its}, this is ${protocol}` : "it is no broker";
    throw new TwinboardError("line-broker-unsuitable", { detail: told });
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** Resolves when it is closed, with who did it. */
  get ended(): Promise<"us" | "broker"> {
    return this.#ended.promise;
  }

  /**
   * Errors: `service-not-set-up` (the broker is gone), `deadline-passed`, and those that the broker answers; the signal's reason.
   * @param extraMs how much longer than usual the answer may take.
   */
  async ask<Name extends RequestName>(
    name: Name,
    sent: Requests[Name]["sent"],
    signal: AbortSignal,
    extraMs = 0,
  ): Promise<Requests[Name]["answer"]> {
    signal.throwIfAborted();
    if (!this.#open) throw gone();
    const id = ++this.#lastId;
    const waiting = Promise.withResolvers<unknown>();
    waiting.promise.catch(() => undefined);
    this.#waiting.set(id, waiting);
    this.#socket.ref();
    try {
      this.#socket.write(`${JSON.stringify({ id, do: name, with: sent })}\n`);
      return await this.#limited(waiting.promise, answerTimeoutMs + extraMs, signal);
    } finally {
      this.#waiting.delete(id);
      if (this.#waiting.size === 0) this.#socket.unref();
    }
  }

  /** Repeatable. */
  close(): void {
    this.#socket.destroy();
    this.#end("us");
  }

  async #limited<T>(promise: Promise<unknown>, timeoutMs: number, signal: AbortSignal): Promise<T> {
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      return (await orAborted(promise, AbortSignal.any([signal, timeout]))) as T;
    } catch (error) {
      if (!timeout.aborted || signal.aborted) throw error;
      // It may still be carried out; what is asked next comes after it, because it goes the same way.
      throw new TwinboardError("deadline-passed", {
        detail: `an answer of the broker of the lines (${timeoutMs} ms)`,
      });
    }
  }

  #hear(line: string | undefined): void {
    const message = Object(parsed(line)) as Partial<Answer & Greeting>;
    if (message.broker !== undefined || message.id === undefined) this.#greeted.resolve(message as Greeting);
    else {
      const { error, result } = message;
      if (error === undefined) this.#waiting.get(message.id)?.resolve(result);
      else this.#waiting.get(message.id)?.reject(errorOf(error));
    }
  }

  #end(by: "us" | "broker"): void {
    this.#open = false;
    this.#greeted.reject(gone());
    for (const { reject } of this.#waiting.values()) reject(gone());
    this.#ended.resolve(by);
  }
}

function gone(): TwinboardError {
  return new TwinboardError("service-not-set-up", { detail: "the broker of the lines does not run" });
}

function errorOf({ code, detail }: { readonly code: string; readonly detail: string }): TwinboardError {
  return code in errorTable
    ? new TwinboardError(code as ErrorCode, { detail })
    : new TwinboardError("internal", { detail: `the broker of the lines: ${code}: ${detail}` });
}
