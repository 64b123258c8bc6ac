/** Asks by TCP: a connection that is accepted in time is healthy. */
import { connect } from "node:net";
import type { Check, CheckTiming } from "./check.ts";

export class TcpCheck implements Check {
  readonly name: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly threshold: number;
  readonly #port: number;

  constructor(name: string, port: number, timing: CheckTiming) {
    this.name = name;
    this.intervalMs = timing.intervalMs;
    this.timeoutMs = timing.timeoutMs;
    this.threshold = timing.failures;
    this.#port = port;
  }

  async ask(host: string, signal: AbortSignal): Promise<void> {
    const socket = connect({ host, port: this.#port, signal });
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once("connect", resolve);
        socket.on("error", reject);
      });
    } finally {
      socket.destroy();
    }
  }
}
