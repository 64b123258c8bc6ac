/** What is needed of QEMU's guest agent, where one runs in the board (QEMU, "QEMU Guest Agent Protocol Reference"): the clock. */
import { randomInt } from "node:crypto";
import type { Socket } from "node:net";
import { TwinboardError } from "../../errors.ts";
import { orAborted } from "../../system/abort.ts";
import { LineCutter } from "../../system/text-lines.ts";

const lineLimitBytes = 64 * 1024;

/**
 * Sets the guest's clock to the host's, to the millisecond (`guest-set-time`), and closes the socket.
 * @param socket of the port `org.qemu.guest_agent.0`, connected or about to be.
 * Errors: `board-died` (nobody listens, or it hung up), `hook-failed` (the agent refused); the signal's reason.
 */
export async function setClockByAgent(socket: Socket, signal: AbortSignal): Promise<void> {
  const cutter = new LineCutter(lineLimitBytes);
  const replies: unknown[] = [];
  let wake = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<never>();
  ended.promise.catch(() => undefined);
  const end = (): void =>
    ended.reject(new TwinboardError("board-died", { detail: "the guest agent hung up" }));
  socket.on("data", (chunk: Buffer) => {
    for (const line of cutter.push(chunk)) replies.push(parse(line));
    wake.resolve();
  });
  socket.on("error", end);
  socket.on("close", end);
  if (socket.destroyed) end();
  const nextReply = async (): Promise<unknown> => {
    while (replies.length === 0) {
      wake = Promise.withResolvers<void>();
      await orAborted(Promise.race([wake.promise, ended.promise]), signal);
    }
    return replies.shift();
  };
  try {
    signal.throwIfAborted();
    // Whatever the agent was asked before, by whom ever, is answered before this.
    const id = randomInt(2 ** 31);
    socket.write(`{"execute":"guest-sync","arguments":{"id":${id}}}\n`);
    while (!isReturn(await nextReply(), id));
    // In nanoseconds, more than a number of JavaScript holds exactly.
    socket.write(`{"execute":"guest-set-time","arguments":{"time":${Date.now()}000000}}\n`);
    const reply = await nextReply();
    if (!isReturn(reply)) {
      const detail = `guest-set-time: ${JSON.stringify(reply)?.slice(0, 300) ?? "no reply that can be read"}`;
      throw new TwinboardError("hook-failed", { detail });
    }
  } finally {
    socket.destroy();
  }
}

function isReturn(reply: unknown, value?: number): boolean {
  if (typeof reply !== "object" || reply === null || !("return" in reply)) return false;
  return value === undefined || reply.return === value;
}

function parse(line: string | undefined): unknown {
  try {
    return JSON.parse(line ?? "");
  } catch {
    // A rest of something older.
    return undefined;
  }
}
