import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ClockPort } from "./clock-port.ts";

/** A board on a real socket; `answer` gets each line, and how many came before it. */
async function withBoard(
  answer: (line: string, socket: Socket, count: number) => void,
  body: (port: ClockPort) => Promise<void>,
  onLate: () => void = () => undefined,
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
  const port = new ClockPort(connect(join(directory, "clock")), onLate);
  try {
    await body(port);
  } finally {
    port.close();
    for (const socket of sockets) socket.destroy();
    server.close();
    await rm(directory, { recursive: true });
  }
}

const limitMs = 20_000;
const limit = (): AbortSignal => AbortSignal.timeout(limitMs);
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
      const { boundMs, rounds } = await port.set(limitMs, limit());
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
      const { boundMs, rounds } = await port.set(limitMs, limit());
      assert.ok(rounds >= 3, `${rounds} rounds`);
      assert.equal(told.length, rounds);
      assert.ok(boundMs <= 10);
    },
  );
});

test("where no answer is quick enough, the clock is as good as is told when patience ends", async () => {
  const lateMs = 40;
  await withBoard(
    (line, socket) => setTimeout(() => socket.write(`${idOf(line)} 0\n`), lateMs),
    async (port) => {
      const { boundMs, rounds } = await port.set(10 * lateMs, limit());
      assert.ok(boundMs >= lateMs / 2, `${boundMs} ms`);
      assert.ok(rounds >= 2, `${rounds} rounds`);
      const enough = new AbortController();
      const setting = port.set(limitMs, AbortSignal.any([enough.signal, limit()]));
      enough.abort(new Error("enough"));
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
      for (const _ of [1, 2]) assert.ok((await port.set(limitMs, limit())).boundMs <= 10);
    },
  );
});

test("a program that may not set the clock, one that hangs up and one that is silent are errors of their own kind", async () => {
  await withBoard(
    (line, socket) => socket.write(`${idOf(line)} 1\n`),
    (port) =>
      assert.rejects(port.set(limitMs, limit()), { code: "hook-failed", message: /error 1 of Linux/ }),
  );
  await withBoard(
    (_, socket) => socket.destroy(),
    async (port) => {
      await assert.rejects(port.set(limitMs, limit()), { code: "board-died" });
      await assert.rejects(port.set(limitMs, limit()), { code: "board-died" });
    },
  );
  await withBoard(
    () => undefined,
    (port) => assert.rejects(port.set(limitMs, limit()), { code: "deadline-passed" }),
  );
  const nobody = new ClockPort(connect("/nonexistent/clock"), () => undefined);
  await assert.rejects(nobody.set(limitMs, limit()), { code: "board-died" });
});

test("what is taken when nobody waits for it any more is told, unless it was refused", async () => {
  const late = { count: 0 };
  const lines: string[] = [];
  await withBoard(
    (line, socket) => {
      lines.push(line);
      if (lines.length === 2) {
        for (const earlier of lines) socket.write(`${idOf(earlier)} 0\n`);
        socket.write(`${idOf(line)} 1\nanother-daemon-1 0\n`);
      }
      // It is told the time again where this host was slow.
      if (lines.length > 2) socket.write(`${idOf(line)} 0\n`);
    },
    async (port) => {
      const enough = new AbortController();
      const setting = port.set(limitMs, enough.signal);
      enough.abort(new Error("enough"));
      await assert.rejects(setting, /enough/);
      await port.set(limitMs, limit());
      for (const deadline = performance.now() + limitMs; late.count < 2; await sleep(5))
        assert.ok(performance.now() < deadline, `${late.count} told`);
    },
    () => (late.count += 1),
  );
  assert.equal(late.count, 2);
});

test("whoever waits for an answer learns why the port was closed", async () => {
  await withBoard(
    () => undefined,
    async (port) => {
      const setting = port.set(limitMs, limit());
      port.close("the guest's kernel panicked");
      await assert.rejects(setting, { code: "board-died", message: /the guest's kernel panicked/ });
    },
  );
});
