/** What a board says on its notify port (docs/board-kit.md), read with a limit on everything. */
import { LineCutter } from "../system/text-lines.ts";

const lineLimitBytes = 1024;
const messageLimitLines = 64;
const statusLimitBytes = 256;

export interface GuestAnswer {
  readonly to: "hook" | "clock";
  readonly id: string;
  /** Exit status of what was asked for, or `absent`. */
  readonly outcome: string;
}

export interface GuestMessage {
  /** The version that came with READY; empty if none did. */
  readonly ready?: string;
  readonly status?: string;
  readonly stopping?: true;
  readonly watchdog?: true;
  readonly answers: readonly GuestAnswer[];
}

export class GuestMessageReader {
  readonly #cutter = new LineCutter(lineLimitBytes);
  #lines: string[] = [];

  /** The messages that `chunk` completes, in order. Lines that are too long or unknown are left out. */
  push(chunk: Buffer): GuestMessage[] {
    const messages: GuestMessage[] = [];
    for (const line of this.#cutter.push(chunk)) {
      if (line === "") {
        if (this.#lines.length > 0) messages.push(readMessage(this.#lines));
        this.#lines = [];
      } else if (line !== undefined && this.#lines.length < messageLimitLines) this.#lines.push(line);
    }
    return messages;
  }
}

const answerKinds = { X_TWINBOARD_HOOK: "hook", X_TWINBOARD_CLOCK: "clock" } as const;

function readMessage(lines: readonly string[]): GuestMessage {
  const values = new Map(lines.map((line) => splitOnce(line, "=")));
  const status = values.get("STATUS");
  return {
    ...(values.get("READY") === "1" ? { ready: values.get("X_TWINBOARD_VERSION") ?? "" } : {}),
    ...(status === undefined ? {} : { status: Buffer.from(status).toString("utf8", 0, statusLimitBytes) }),
    ...(values.get("STOPPING") === "1" ? { stopping: true } : {}),
    ...(values.get("WATCHDOG") === "1" ? { watchdog: true } : {}),
    answers: lines.flatMap((line) => {
      const [name, value] = splitOnce(line, "=");
      if (name !== "X_TWINBOARD_HOOK" && name !== "X_TWINBOARD_CLOCK") return [];
      const [id, outcome] = splitOnce(value, " ");
      return [{ to: answerKinds[name], id, outcome }];
    }),
  };
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}
