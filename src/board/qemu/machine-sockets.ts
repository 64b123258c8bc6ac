/** The sockets where a machine listens, in its own directory: what is there is not believed until it has been looked at. */
import type { Socket } from "node:net";
import { join } from "node:path";
import { TwinboardError } from "../../errors.ts";
import { connectForeign } from "../../system/foreign-socket.ts";
import type { sockets } from "./command-line.ts";

type SocketName = (typeof sockets)[keyof typeof sockets];

export class MachineSockets {
  readonly #directory: string;
  readonly #records: string;
  readonly #uid: number;
  #links = 0;

  /** @param records the record directory, where sockets are linked for a moment. @param uid whose they must be. */
  constructor(directory: string, records: string, uid: number) {
    this.#directory = directory;
    this.#records = records;
    this.#uid = uid;
  }

  /** Errors: `board-died` (nobody listens there, or it is not the machine's socket). */
  async connect(name: SocketName): Promise<Socket> {
    const path = join(this.#directory, name);
    this.#links += 1;
    const link = join(this.#records, `${name}.${process.pid}.${this.#links}`);
    try {
      return await connectForeign({ path, uid: this.#uid }, link);
    } catch (cause) {
      throw new TwinboardError("board-died", { detail: `${path}: ${(cause as Error).message}`, cause });
    }
  }
}
