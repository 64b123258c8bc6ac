/** `twinboard console BOARD` */
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "@commander-js/extra-typings";
import { TwinboardError } from "../errors.ts";
import { boardArgument } from "./board-argument.ts";
import type { BoardName, Client } from "./client.ts";
import { letGoOnSignals } from "./let-go.ts";
import { findSocket, type SocketOptions, socketOption, systemOption } from "./socket.ts";
import { verb } from "./verb.ts";

/** Ctrl-], as in telnet(1): programs in a board hardly ever want it. */
const detachByte = 0x1d;
const detachKeys = "Ctrl-]";
const fallAsleepMs = 5000;
const askAgainMs = 100;

/** Who ended it: somebody here, or the board's side. */
type End = "detached" | "closed";

export function addConsole(program: Command): void {
  program
    .command("console")
    .summary("attach the terminal to the console of a board that runs")
    .description(
      `Attaches the terminal to the console of a board that runs, for one at a time. ${detachKeys} detaches. Without a terminal, stdin is typed on the console and its output goes to stdout, until Ctrl-C or until the board no longer runs.`,
    )
    .addArgument(boardArgument())
    .addOption(socketOption())
    .addOption(systemOption())
    .action(async (board, options) => {
      await verb(false, async () => await attach(board, options));
    });
}

async function attach(board: BoardName, options: SocketOptions): Promise<number> {
  const { Client } = await import("./client.ts");
  const client = new Client(await findSocket(options));
  const console = await client.attachConsole(board);
  const terminal = process.stdin.isTTY;
  const keys = terminal ? `${detachKeys} detaches` : "Ctrl-C detaches";
  using letGo = letGoOnSignals();
  let end: End | undefined;
  const exitCode = await letGo.or(async (signal) => {
    using _ = rawMode();
    process.stderr.write(`Attached to the console of board ${board}. ${keys}.\r\n`);
    end = await carry(console, terminal, signal);
    return 0;
  });
  // The board's last line may not be complete: what is said now begins on one of its own.
  const said = end === "closed" ? await whyOver(client, board) : "Detached.";
  process.stderr.write(`\n${said}\n`);
  return exitCode;
}

/** Every key goes to the board, and the terminal is put back whatever happens. */
function rawMode(): Disposable {
  const { stdin } = process;
  if (!stdin.isTTY) return { [Symbol.dispose]: () => stdin.destroy() };
  stdin.setRawMode(true);
  return {
    [Symbol.dispose]: () => {
      stdin.setRawMode(false);
      stdin.destroy();
    },
  };
}

/** Bytes both ways until one side has enough; the signal's reason is an error. */
async function carry(console: Duplex, terminal: boolean, signal: AbortSignal): Promise<End> {
  const over = Promise.withResolvers<End>();
  const abort = (): void => over.reject(signal.reason as Error);
  signal.addEventListener("abort", abort, { once: true });
  console.once("close", () => over.resolve("closed"));
  console.on("error", () => undefined);
  console.on("data", (bytes: Buffer) => {
    if (process.stdout.write(bytes)) return;
    console.pause();
    process.stdout.once("drain", () => void console.resume());
  });
  console.once("end", () => over.resolve("closed"));
  process.stdout.once("error", () => over.resolve("detached"));
  const type = (bytes: Buffer): void => {
    const detach = terminal ? bytes.indexOf(detachByte) : -1;
    if (!console.write(detach < 0 ? bytes : bytes.subarray(0, detach))) {
      process.stdin.pause();
      console.once("drain", () => void process.stdin.resume());
    }
    if (detach >= 0) over.resolve("detached");
  };
  process.stdin.on("data", type);
  try {
    return await over.promise;
  } finally {
    process.stdin.off("data", type);
    signal.removeEventListener("abort", abort);
    console.destroy();
  }
}

/**
 * The connection says only that it is over; a board that is being put to sleep takes a moment more.
 * Errors: `daemon-unreachable`.
 */
async function whyOver(client: Client, board: BoardName): Promise<string> {
  const deadline = performance.now() + fallAsleepMs;
  do {
    const { role } = (await client.status()).boards[board];
    if (role === "dormant" || role === "dead" || role === "off")
      return `Detached: board ${board} is ${role}.`;
    await sleep(askAgainMs);
  } while (performance.now() < deadline);
  throw new TwinboardError("daemon-unreachable", { detail: "the connection was lost" });
}
