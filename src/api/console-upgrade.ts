/**
 * `POST /v1/boards/BOARD/console` becomes a board's console: the connection is upgraded (RFC 9110, 7.8) to bytes in both directions,
 * what is typed one way and what the board writes the other. It ends when the board no longer runs or when either end has enough.
 */
import { once } from "node:events";
import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { type BoardConsole, boardNames } from "../board/board.ts";
import { TwinboardError } from "../errors.ts";
import { consoleProtocol } from "./console-protocol.ts";
import { errorBody } from "./error-body.ts";
import type { ServedSystem } from "./served-system.ts";

export interface Upgrade {
  /** Whether a request that asks for another protocol gets it; if not, it is answered as any other. */
  readonly wants: (request: IncomingMessage) => boolean;
  readonly take: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
}

/** `closing` ends every console. */
export function consoleUpgrade(system: ServedSystem, closing: AbortSignal): Upgrade {
  return {
    wants: (request) => boardOf(request) !== undefined && request.headers.upgrade === consoleProtocol,
    take: (request, socket, head) => void serveConsole(system, closing, { request, socket, head }),
  };
}

interface Upgraded {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
}

async function serveConsole(system: ServedSystem, closing: AbortSignal, upgraded: Upgraded): Promise<void> {
  const { request, socket, head } = upgraded;
  const gone = new AbortController();
  const leave = (): void => gone.abort(new Error("the client went away"));
  const close = (): void => void socket.destroy();
  closing.addEventListener("abort", close, { once: true });
  // A client that goes away is no error of ours.
  socket.on("error", leave);
  socket.once("close", () => {
    closing.removeEventListener("abort", close);
    leave();
  });
  try {
    const board = boardOf(request);
    if (board === undefined) throw new TwinboardError("not-found", { detail: request.url ?? "" });
    const console = await system.attachConsole(board, AbortSignal.any([closing, gone.signal]));
    socket.write(answer(101, { connection: "Upgrade", upgrade: consoleProtocol }));
    if (head.length > 0) socket.unshift(head);
    takeInput(socket, console, leave);
    await giveOutput(socket, console, gone.signal);
    socket.end(close);
  } catch (error) {
    refuse(socket, error);
  }
}

function boardOf(request: IncomingMessage) {
  const name = /^\/v1\/boards\/([^/?]+)\/console$/.exec(request.url ?? "")?.[1];
  return request.method === "POST" ? boardNames.find((board) => board === name) : undefined;
}

/** Takes no more from the client than the board takes. */
function takeInput(socket: Duplex, console: BoardConsole, leave: () => void): void {
  socket.on("data", (bytes: Buffer) => {
    socket.pause();
    console.write(bytes).then(() => void socket.resume(), leave);
  });
  socket.once("end", leave);
}

/** A client that does not read waits by itself: the board's words are kept in a file, and what is too old there is left out. */
async function giveOutput(socket: Duplex, console: BoardConsole, gone: AbortSignal): Promise<void> {
  try {
    for await (const bytes of console.output) {
      if (!socket.write(bytes)) await once(socket, "drain", { signal: gone });
    }
  } catch (error) {
    if (!gone.aborted) throw error;
  }
}

function refuse(socket: Duplex, error: unknown): void {
  const { body, status } = errorBody(error);
  const text = JSON.stringify(body);
  const length = String(Buffer.byteLength(text));
  const headers = { "content-type": "application/json", "content-length": length, connection: "close" };
  socket.end(`${answer(status, headers)}${text}`, () => void socket.destroy());
}

function answer(status: number, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n${lines.join("")}\r\n`;
}
