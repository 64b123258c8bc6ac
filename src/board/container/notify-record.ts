/**
 * What a board has said on its notify socket, read from a file: socat(1) appends each datagram to it (`-x`: a line of its time and length,
 * then its bytes in hexadecimal), also while no daemon runs. So READY does not die with a daemon. A file that has grown is emptied, and
 * what it came to is kept beside it.
 */
import { open, rm, truncate } from "node:fs/promises";
import { readFileIfThere, writeFileAtomically } from "../../system/files.ts";
import { type GuestMessage, GuestMessageReader } from "../guest-message.ts";

/** What the board's last messages come to. */
export interface SaidState {
  readonly version?: string;
  readonly status?: string;
  readonly stopping?: true;
}

const trimAtBytes = 256 * 1024;
const chunkBytes = 64 * 1024;
const datagramLimitBytes = 8192;

export class NotifyRecord {
  readonly #path: string;
  readonly #statePath: string;
  #position = 0;
  #rest = "";
  #awaited = 0;
  #bytes = "";

  constructor(path: string) {
    this.#path = path;
    this.#statePath = `${path}.state`;
  }

  /** Reads from the beginning again. */
  rewind(): void {
    this.#position = 0;
    this.#rest = "";
    this.#awaited = 0;
  }

  /** For a board that is about to start. */
  async clear(): Promise<void> {
    this.rewind();
    for (const path of [this.#path, this.#statePath]) await rm(path, { force: true });
  }

  /** What an earlier daemon kept when it emptied the file. */
  async kept(): Promise<SaidState> {
    return JSON.parse((await readFileIfThere(this.#statePath)) ?? "{}") as SaidState;
  }

  /** The messages that came since it was last asked, in order. */
  async read(): Promise<GuestMessage[]> {
    const messages: GuestMessage[] = [];
    for (;;) {
      const chunk = await this.#chunk();
      if (chunk === "") return messages;
      messages.push(...this.#parse(chunk));
    }
  }

  /** Empties a file that has grown. What is written in the very same moment may be lost. */
  async trim(state: SaidState): Promise<void> {
    if (this.#position < trimAtBytes) return;
    await writeFileAtomically(this.#statePath, JSON.stringify(state));
    await truncate(this.#path, 0);
    this.#position = 0;
  }

  async #chunk(): Promise<string> {
    const file = await open(this.#path, "r").catch(() => undefined);
    if (file === undefined) return "";
    try {
      if ((await file.stat()).size < this.#position) this.#position = 0;
      const { buffer, bytesRead } = await file.read(Buffer.alloc(chunkBytes), 0, chunkBytes, this.#position);
      this.#position += bytesRead;
      return buffer.toString("latin1", 0, bytesRead);
    } finally {
      await file.close();
    }
  }

  #parse(chunk: string): GuestMessage[] {
    const messages: GuestMessage[] = [];
    const lines = (this.#rest + chunk).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const length = /^[<>] .* length=(\d+) from=\d+ to=\d+$/.exec(line)?.[1];
      if (length !== undefined) {
        this.#awaited = Number(length);
        this.#bytes = "";
      } else if (/^( [0-9a-f]{2})+$/.test(line) && this.#bytes.length < 2 * datagramLimitBytes)
        this.#bytes += line.replaceAll(" ", "");
      if (this.#awaited === 0 || this.#bytes.length < 2 * this.#awaited) continue;
      this.#awaited = 0;
      const datagram = Buffer.from(this.#bytes, "hex").toString().trimEnd();
      messages.push(
        ...new GuestMessageReader().push(Buffer.from(`${datagram.replaceAll(/\n+/g, "\n")}\n\n`)),
      );
    }
    return messages;
  }
}
