/** Asks by HTTP (RFC 9110): a status of 200 to 299, whole and in time, is healthy. */
import { type IncomingMessage, request } from "node:http";
import type { Check, CheckTiming } from "./check.ts";

/** A health page has no reason to be longer. */
const maxBodyBytes = 64 * 1024;

export class HttpCheck implements Check {
  readonly name: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly threshold: number;
  readonly #port: number;
  readonly #path: string;

  constructor(name: string, port: number, path: string, timing: CheckTiming) {
    this.name = name;
    this.intervalMs = timing.intervalMs;
    this.timeoutMs = timing.timeoutMs;
    this.threshold = timing.failures;
    this.#port = port;
    this.#path = path;
  }

  async ask(host: string, signal: AbortSignal): Promise<void> {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request({
        host,
        port: this.#port,
        path: this.#path,
        // A connection of its own each time: it is the listening that is in question, and a kept one would survive it.
        agent: false,
        // A link-local address with its scope is no valid Host (RFC 6874, section 1).
        headers: { host: "localhost", "user-agent": "twinboard", connection: "close" },
        maxHeaderSize: 16_384,
        signal,
      })
        .once("response", resolve)
        // It stays for what breaks later: the response tells of that, too.
        .on("error", reject)
        .end();
    });
    try {
      const status = response.statusCode ?? 0;
      if (status < 200 || status > 299) throw new Error(`HTTP status ${status}`);
      let bytes = 0;
      for await (const chunk of response) {
        bytes += (chunk as Buffer).length;
        if (bytes > maxBodyBytes) throw new Error(`an answer of more than ${maxBodyBytes} bytes`);
      }
    } finally {
      response.destroy();
    }
  }
}
