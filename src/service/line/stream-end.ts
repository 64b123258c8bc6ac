/** The outside end that is a socket: one that the broker connects to, or one where it listens for one peer at a time. */
import { chmod, chown, lstat, rename, rm } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { findGroup } from "../../system/accounts.ts";
import type { OutsideEnd, OutsideEvents } from "./ends.ts";
import { descriptorOf, Outlet } from "./outlet.ts";
import { type Endpoint, endpointText, type StreamSpec } from "./spec.ts";

const soonestMs = 50;
const slowestMs = 1000;
/** Who accepts and closes at once is not tried again and again without a pause. */
const lastedMs = 1000;
const connectTimeoutMs = 5000;
/** A peer that vanished without a word is noticed after some of these. */
const keepAliveMs = 10_000;
/** How often it is looked whether a socket that listens still has its name. */
const lookMs = 2000;

export class StreamEnd implements OutsideEnd {
  readonly keeps = true;
  readonly breakMs = null;
  readonly #spec: StreamSpec;
  readonly #events: OutsideEvents;
  #socket: Socket | undefined;
  #outlet: Outlet | undefined;
  #server: Server | undefined;
  /** Of the name under which it listens. */
  #inode: bigint | undefined;
  #looking: NodeJS.Timeout | undefined;
  #listening = true;
  #delayMs = soonestMs;
  #timer: NodeJS.Timeout | undefined;
  #trying: Promise<void>;
  #trouble: string | null = null;
  readonly #over = new AbortController();

  constructor(spec: StreamSpec, events: OutsideEvents) {
    this.#spec = spec;
    this.#events = events;
    this.#trying = this.#try();
  }

  get open(): boolean {
    return this.#socket !== undefined;
  }

  get trouble(): string | null {
    return this.#trouble;
  }

  async attempted(): Promise<void> {
    await this.#trying;
  }

  write(bytes: Buffer): number {
    return this.#outlet?.write(bytes) ?? 0;
  }

  listen(on: boolean): void {
    this.#listening = on;
    if (on) this.#socket?.resume();
    else this.#socket?.pause();
  }

  async sendBreak(): Promise<void> {
    // A socket has none.
  }

  async end(): Promise<void> {
    this.#over.abort(new Error("it is let go of"));
    clearTimeout(this.#timer);
    clearInterval(this.#looking);
    await this.#trying;
    this.#letGo();
    if (this.#server !== undefined) await this.#close(this.#server);
  }

  async #try(): Promise<void> {
    const at = endpointText(this.#spec.endpoint);
    try {
      if (this.#spec.kind === "connect") this.#adopt(await connected(this.#spec.endpoint, this.#over.signal));
      else {
        this.#server = await this.#serve(this.#spec.endpoint);
        this.#trouble = this.#socket === undefined ? `nobody is connected to ${at}` : null;
      }
    } catch (error) {
      this.#trouble = sentence(at, error as NodeJS.ErrnoException);
      this.#again();
    }
  }

  async #serve(endpoint: Endpoint): Promise<Server> {
    if ("path" in endpoint) await removeStale(endpoint.path, this.#over.signal);
    const server = createServer((socket) => {
      // One peer at a time: who comes second is told at once, by the end of the connection.
      if (this.#socket === undefined && !this.#over.signal.aborted) this.#adopt(socket);
      else socket.destroy();
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(endpoint, resolve);
    });
    server.on("error", () => undefined);
    if ("path" in endpoint) await this.#keepName(endpoint.path, server);
    return server;
  }

  /** Whoever clears away the name of a socket (of /tmp, of /run) leaves it listening where nobody finds it. */
  async #keepName(path: string, server: Server): Promise<void> {
    try {
      await letGroupIn(path);
    } catch (error) {
      server.close();
      throw error;
    }
    this.#inode = await inodeOf(path);
    this.#looking = setInterval(() => void this.#look(path), lookMs).unref();
  }

  /** Node removes whatever has the name then. */
  async #close(server: Server): Promise<void> {
    const closed = async (): Promise<void> => void (await new Promise((resolve) => server.close(resolve)));
    const { endpoint } = this.#spec;
    const isOurs = !("path" in endpoint) || [undefined, this.#inode].includes(await inodeOf(endpoint.path));
    if (isOurs) return await closed();
    const aside = `${endpoint.path}.${process.pid}`;
    await rename(endpoint.path, aside);
    await closed();
    await rename(aside, endpoint.path);
  }

  async #look(path: string): Promise<void> {
    const inode = await inodeOf(path);
    if (this.#over.signal.aborted || this.#server === undefined || inode === this.#inode) return;
    if (inode !== undefined) {
      this.#trouble = `${path} is another program's by now`;
      return;
    }
    clearInterval(this.#looking);
    // Who is connected stays so; the name is nobody's, so closing takes none away.
    this.#server.close();
    this.#server = undefined;
    this.#trying = this.#try();
  }

  #adopt(socket: Socket): void {
    const opened = performance.now();
    const end = (): void => {
      if (this.#socket !== socket) return;
      this.#letGo();
      const at = endpointText(this.#spec.endpoint);
      this.#trouble =
        this.#spec.kind === "connect" ? `${at} has closed the connection` : `nobody is connected to ${at}`;
      if (performance.now() - opened >= lastedMs) this.#delayMs = soonestMs;
      if (this.#spec.kind === "connect") this.#again();
    };
    socket.on("error", end);
    socket.on("close", end);
    socket.on("data", (bytes: Buffer) => this.#events.onBytes(bytes));
    socket.setNoDelay(true);
    socket.setKeepAlive(true, keepAliveMs);
    this.#socket = socket;
    this.#outlet = new Outlet({
      fd: descriptorOf(socket),
      soonestMs: 1,
      slowestMs: 50,
      onRoom: () => this.#events.onChange(),
      onEnd: () => socket.destroy(),
    });
    this.#trouble = null;
    this.listen(this.#listening);
    this.#events.onChange();
  }

  #letGo(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#outlet?.end();
    this.#outlet = undefined;
    socket?.destroy();
    if (socket !== undefined) this.#events.onChange();
  }

  #again(): void {
    if (this.#over.signal.aborted) return;
    this.#timer = setTimeout(() => {
      this.#trying = this.#try();
    }, this.#delayMs);
    this.#delayMs = Math.min(this.#delayMs * 2, slowestMs);
  }
}

async function connected(endpoint: Endpoint, signal: AbortSignal): Promise<Socket> {
  const socket = connect({ ...endpoint, signal });
  await new Promise<void>((resolve, reject) => {
    socket.setTimeout(connectTimeoutMs, () => socket.destroy(new Error("it does not answer")));
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  socket.setTimeout(0);
  return socket;
}

/** Makes room for a socket where an earlier broker's is left; anything else there is somebody's. */
async function removeStale(path: string, signal: AbortSignal): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isSocket() !== true) return;
  const nobody = await connected({ path }, signal).then(
    (socket) => {
      socket.destroy();
      return false;
    },
    (error: NodeJS.ErrnoException) => error.code === "ECONNREFUSED",
  );
  if (nobody) await rm(path, { force: true });
}

async function inodeOf(path: string): Promise<bigint | undefined> {
  return (await lstat(path, { bigint: true }).catch(() => undefined))?.ino;
}

/** As with the daemon's own socket: root, and whoever is of the group. */
async function letGroupIn(path: string): Promise<void> {
  const group = await findGroup("twinboard");
  if (group !== undefined) await chown(path, -1, group.gid);
  await chmod(path, 0o660);
}

function sentence(at: string, { code, message }: NodeJS.ErrnoException): string {
  if (code === "ENOENT") return `${at} is not there`;
  if (code === "ECONNREFUSED") return `nobody listens at ${at}`;
  if (code === "EADDRINUSE") return `${at} is in use by another program`;
  return `${at}: ${message}`;
}
