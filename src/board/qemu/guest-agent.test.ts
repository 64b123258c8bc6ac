import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { setClockByAgent } from "./guest-agent.ts";

/** An agent on a real socket; `answer` gets each line. */
async function withAgent(
  answer: (line: string, socket: Socket) => void,
  body: (path: string) => Promise<void>,
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "twinboard-agent-"));
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => undefined);
    createInterface({ input: socket }).on("line", (line) => answer(line, socket));
  }).listen(join(directory, "agent"));
  await once(server, "listening");
  try {
    await body(join(directory, "agent"));
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
    await rm(directory, { recursive: true });
  }
}

const idOf = (line: string): string => /"id":(\d+)/.exec(line)?.[1] ?? "";

test("older answers are passed over, and the time is the host's, in nanoseconds", async () => {
  let time = 0n;
  await withAgent(
    (line, socket) => {
      if (line.includes("guest-sync"))
        socket.write(`half an answ\n{"return": {}}\n{"return": 7}\n{"return": ${idOf(line)}}\n`);
      else {
        time = BigInt(/"time":(\d+)/.exec(line)?.[1] ?? 0);
        socket.write('{"return": {}}\n');
      }
    },
    async (path) => {
      const before = BigInt(Date.now());
      await setClockByAgent(connect(path), AbortSignal.timeout(5000));
      assert.ok(time >= before * 1_000_000n && time <= BigInt(Date.now()) * 1_000_000n);
    },
  );
});

/** Answers `guest-sync` as it should be. */
function sync(line: string, socket: Socket): boolean {
  if (line.includes("guest-sync")) socket.write(`{"return": ${idOf(line)}}\n`);
  return line.includes("guest-sync");
}

test("an agent that refuses, hangs up or is silent is an error of its own kind", async () => {
  await withAgent(
    (line, socket) => sync(line, socket) || socket.write('{"error": {"desc": "no hwclock"}}\n'),
    (path) =>
      assert.rejects(setClockByAgent(connect(path), AbortSignal.timeout(5000)), {
        code: "hook-failed",
        message: /no hwclock/,
      }),
  );
  await withAgent(
    (line, socket) => sync(line, socket) || socket.destroy(),
    (path) =>
      assert.rejects(setClockByAgent(connect(path), AbortSignal.timeout(5000)), { code: "board-died" }),
  );
  const enough = new AbortController();
  await withAgent(
    () => enough.abort(new Error("enough")),
    (path) => assert.rejects(setClockByAgent(connect(path), enough.signal), /enough/),
  );
  await assert.rejects(setClockByAgent(connect("/nonexistent/agent"), AbortSignal.timeout(5000)), {
    code: "board-died",
  });
});
