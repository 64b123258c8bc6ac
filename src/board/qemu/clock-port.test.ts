import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { ClockPort } from "./clock-port.ts";

/** A board on a real socket; `answer` gets each line, and how many came before it. */
async function withBoard(
  answer: (line: string, socket: Socket, count: number) => void,
  body: (port: ClockPort) => Promise<void>,
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "twinboard-clock-"));
  const sockets: Socket[] = [];
  let count = 0;
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => undefined);
    createInterface({ input: socket }).on("line", (line) => answer(line, socket, count++));
  }).listen(join(directory, "clock"));
  await once(server, "listening");
  const port = new ClockPort(connect(join(directory, "clock")));
  try {
    await body(port);
  } finally {
    port.close();
    for (const socket of sockets) socket.destroy();
    server.close();
    await rm(directory, { recursive: true });
  }
}

const limit = (): AbortSignal => AbortSignal.timeout(20_000);
const idOf = (line: string): string => line.split(" ", 1)[0] ?? "";

/** Milliseconds since 1970. */
function timeIn(line: string): number {
  const [, seconds = "", nanoseconds = ""] = /^[A-Za-z0-9-]{1,32} (\d{1,12}) (\d{1,10})$/.exec(line) ?? [];
  assert.notEqual(seconds, "", line);
  return Number(seconds) * 1000 + Number(nanoseconds) / 1e6;
}

test("the time that is told is the host's, and the bound holds for whenever between question and answer it was taken", async () => {
  let set = { early: 0, late: 0 };
  let heardAt = 0;
  await withBoard(
    (line, socket) => {
      heardAt = Date.now();
      const time = timeIn(line);
      socket.write(`${idOf(line)} 0\n`);
      set = { early: time - (Date.now() + 1), late: time - heardAt };
    },
    async (port) => {
      const before = Date.now();
      const { boundMs, rounds } = await port.set(limit());
      assert.ok(rounds >= 1 && boundMs > 0);
      assert.ok(heardAt >= before);
      // `Date.now` leaves out up to a millisecond at each end.
      assert.ok(set.early >= -boundMs - 1 && set.late <= boundMs + 1, JSON.stringify({ set, boundMs }));
    },
  );
});

test("answers that take long are asked for again, with half of the way added, until one is quick enough", async () => {
  const lateMs = 60;
  const told: number[] = [];
  await withBoard(
    (line, socket, count) => {
      told.push(timeIn(line) - Date.now());
      setTimeout(() => socket.write(`${idOf(line)} 0\n`), count < 2 ? lateMs : 0);
    },
    async (port) => {
      const { boundMs, rounds } = await port.set(limit());
      assert.ok(rounds >= 3, `${rounds} rounds`);
      assert.equal(told.length, rounds);
      assert.ok(boundMs <= 10);
    },
  );
});

test("a clock that cannot be known to be good is not taken for good: the caller's deadline ends it", async () => {
  await withBoard(
    (line, socket) => setTimeout(() => socket.write(`${idOf(line)} 0\n`), 40),
    async (port) => {
      const enough = new AbortController();
      const setting = port.set(AbortSignal.any([enough.signal, limit()]));
      setTimeout(() => enough.abort(new Error("enough")), 1000);
      await assert.rejects(setting, /enough/);
    },
  );
});

test("what answers nothing of this connection's is passed over, however much it is", async () => {
  await withBoard(
    (line, socket) => {
      socket.write(
        `\nhalf\n0\n${idOf(line)}\n${idOf(line)}x 0\nother-1 0\n${idOf(line)} 12345\n${idOf(line)} -1\n`,
      );
      socket.write(`${"x".repeat(100_000)}\n${idOf(line)} 0\n${idOf(line)} 1\n`);
    },
    async (port) => {
      for (const _ of [1, 2]) assert.ok((await port.set(limit())).boundMs <= 10);
    },
  );
});

test("a program that may not set the clock, one that hangs up and one that is silent are errors of their own kind", async () => {
  await withBoard(
    (line, socket) => socket.write(`${idOf(line)} 1\n`),
    (port) => assert.rejects(port.set(limit()), { code: "hook-failed", message: /error 1 of Linux/ }),
  );
  await withBoard(
    (_, socket) => socket.destroy(),
    async (port) => {
      await assert.rejects(port.set(limit()), { code: "board-died" });
      await assert.rejects(port.set(limit()), { code: "board-died" });
    },
  );
  await withBoard(
    () => undefined,
    (port) => assert.rejects(port.set(limit()), { code: "deadline-passed" }),
  );
  const nobody = new ClockPort(connect("/nonexistent/clock"));
  await assert.rejects(nobody.set(limit()), { code: "board-died" });
});

test("whoever waits for an answer learns why the port was closed", async () => {
  await withBoard(
    () => undefined,
    async (port) => {
      const setting = port.set(limit());
      port.close("the guest's kernel panicked");
      await assert.rejects(setting, { code: "board-died", message: /the guest's kernel panicked/ });
    },
  );
});
