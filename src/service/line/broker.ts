/**
 * The broker of a system's lines: a process of its own, so that bytes pass while no daemon runs. Started by `broker-process.ts` with its
 * directory as the only argument, in which it has its lock already; there is its control socket. It ends with its last line.
 */
import { rmSync, writeFileSync } from "node:fs";
import { lstat } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { asTwinboardError, TwinboardError } from "../../errors.ts";
import { LineCutter } from "../../system/text-lines.ts";
import { BrokerLine } from "./broker-line.ts";
import {
  type Answer,
  type Greeting,
  greetingKind,
  invalid,
  messageLimitBytes,
  protocol,
  type Request,
  readBoard,
  readNumber,
  readPort,
  readRequest,
} from "./protocol.ts";
import { readSpec } from "./spec.ts";

const mostConnections = 64;
const mostDrainMs = 3_600_000;
const lookMs = 10_000;

class Broker {
  readonly #lines = new Map<string, BrokerLine>();
  readonly #server: Server;
  readonly #connections = new Set<Socket>();
  /** Each line is made and let go of one after the other. */
  readonly #turns = new Map<string, Promise<unknown>>();
  #inode: bigint | undefined;

  constructor() {
    this.#server = createServer((socket) => this.#serve(socket));
    this.#server.maxConnections = mostConnections;
  }

  async listen(path: string): Promise<void> {
    // Of a broker that was killed: the lock is ours.
    rmSync(path, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(path, resolve);
    });
    this.#inode = (await lstat(path, { bigint: true })).ino;
    // Whoever removed the directory took the daemon's way to us with it.
    setInterval(() => void this.#look(path), lookMs).unref();
  }

  /** In order, with every device as it was found. */
  async end(): Promise<void> {
    await this.#remove({ keep: [] });
  }

  #serve(socket: Socket): void {
    this.#connections.add(socket);
    socket.on("close", () => this.#connections.delete(socket));
    socket.on("error", () => undefined);
    const greeting: Greeting = { broker: greetingKind, protocol, pid: process.pid };
    socket.write(`${JSON.stringify(greeting)}\n`);
    const cutter = new LineCutter(messageLimitBytes);
    socket.on("data", (chunk: Buffer) => {
      for (const line of cutter.push(chunk)) void this.#answer(socket, line);
    });
  }

  async #answer(socket: Socket, line: string | undefined): Promise<void> {
    const send = (answer: Answer): void => void socket.write(`${JSON.stringify(answer)}\n`);
    let id = 0;
    try {
      const request = readRequest(line);
      id = request.id;
      send({ id, result: (await this.#carryOut(request)) ?? null });
    } catch (error) {
      const { code, detail, message } = asTwinboardError(error);
      send({ id, error: { code, detail: detail ?? message } });
    }
  }

  #carryOut({ do: name, with: sent }: Request): unknown {
    switch (name) {
      case "make":
        return this.#make(sent["line"]);
      case "attach":
        return this.#line(sent).attach(readBoard(sent["board"]), readPort(sent["port"]));
      case "inspect":
        return this.#lines.get(String(sent["name"]))?.condition();
      case "lease":
        return this.#line(sent).switch.lease(readBoard(sent["to"]), readNumber(sent["epoch"], "the epoch"));
      case "settle": {
        const board = sent["board"] === null ? null : readBoard(sent["board"]);
        return this.#line(sent).switch.settle(board, readNumber(sent["epoch"], "the epoch"));
      }
      case "drain": {
        const withinMs = Math.min(mostDrainMs, readNumber(sent["withinMs"], "the time of a drain"));
        return this.#line(sent).drained(readBoard(sent["board"]), withinMs);
      }
      case "remove":
        return this.#remove(sent);
      default:
        throw invalid(`this broker, of protocol ${protocol}, cannot ${name}`);
    }
  }

  async #make(value: unknown): Promise<void> {
    const spec = readSpec(value);
    await this.#inTurn(spec.name, async () => {
      const line = this.#lines.get(spec.name) ?? new BrokerLine(spec);
      this.#lines.set(spec.name, line);
      await line.become(spec);
    });
  }

  async #remove(sent: Request["with"]): Promise<{ readonly left: number }> {
    const keep = Array.isArray(sent["keep"]) ? sent["keep"] : undefined;
    const meant = (name: string): boolean =>
      keep === undefined ? name === sent["name"] : !keep.includes(name);
    const ends = [...this.#lines.keys()].filter(meant).map(async (name) => {
      await this.#inTurn(name, async () => {
        const line = this.#lines.get(name);
        this.#lines.delete(name);
        await line?.end();
      });
    });
    await Promise.all(ends);
    // After the answer.
    if (this.#lines.size === 0) setImmediate(() => void this.#exit());
    return { left: this.#lines.size };
  }

  /** Nobody connects any more; who is connected learns by the end of the connection that the process is gone. */
  async #exit(): Promise<void> {
    await Promise.all(this.#turns.values());
    if (this.#lines.size > 0) return;
    this.#server.close();
    for (const socket of this.#connections) socket.end();
    setImmediate(() => process.exit());
  }

  async #look(path: string): Promise<void> {
    const found = await lstat(path, { bigint: true }).catch(() => undefined);
    if (found?.ino !== this.#inode) await this.end();
  }

  #line(sent: Request["with"]): BrokerLine {
    const line = this.#lines.get(String(sent["name"]));
    if (line !== undefined) return line;
    throw new TwinboardError("service-not-set-up", { detail: `line ${String(sent["name"])}` });
  }

  async #inTurn(name: string, work: () => Promise<void>): Promise<void> {
    const done = (this.#turns.get(name) ?? Promise.resolve()).then(work);
    this.#turns.set(
      name,
      done.catch(() => undefined),
    );
    await done;
  }
}

process.chdir(process.argv[2] ?? ".");
// A terminal that is closed, or a daemon's group that is ended, is not meant for the broker.
for (const signal of ["SIGHUP", "SIGINT"] as const) process.on(signal, () => undefined);
// The daemon that started us may be gone before it heard that we are ready.
process.stdout.on("error", () => undefined);
// Who has the lock, for those who find that it does not answer.
writeFileSync("lock", `${process.pid}\n`);
const broker = new Broker();
process.on("SIGTERM", () => void broker.end());
await broker.listen("control");
process.stdout.write("ready\n");
