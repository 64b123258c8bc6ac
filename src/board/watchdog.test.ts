import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { Watchdog } from "./watchdog.ts";

const silenceMs = 10_000;

/** A watchdog under a clock that only the test moves. */
function watched(t: TestContext): { watchdog: Watchdog; hung: string[]; pass: (ms: number) => void } {
  t.mock.timers.enable({ apis: ["setTimeout", "setImmediate"] });
  const hung: string[] = [];
  const watchdog = new Watchdog(silenceMs, (detail) => hung.push(detail));
  return { watchdog, hung, pass: (ms) => t.mock.timers.tick(ms) };
}

test("a board that never said that it lives is not missed", (t) => {
  const { watchdog, hung, pass } = watched(t);
  watchdog.wake();
  pass(10 * silenceMs);
  assert.deepEqual(hung, []);
});

test("a silence of the whole time is told, once, and again when the board was heard in between", (t) => {
  const { watchdog, hung, pass } = watched(t);
  for (let count = 0; count < 5; count++) {
    watchdog.heard();
    pass(silenceMs - 1);
  }
  assert.deepEqual(hung, []);
  pass(2);
  assert.deepEqual(hung, ["it has not said that it lives for 10 s"]);
  pass(10 * silenceMs);
  assert.equal(hung.length, 1);
  watchdog.heard();
  pass(silenceMs + 1);
  assert.equal(hung.length, 2);
});

test("a pause does not count, nor what arrives late in it; after it the board has its whole time", (t) => {
  const { watchdog, hung, pass } = watched(t);
  watchdog.heard();
  pass(silenceMs - 1);
  watchdog.rest();
  watchdog.heard();
  pass(10 * silenceMs);
  assert.deepEqual(hung, []);
  watchdog.wake();
  pass(silenceMs - 1);
  assert.deepEqual(hung, []);
  pass(2);
  assert.equal(hung.length, 1);
});

test("after its end nothing is told", (t) => {
  const { watchdog, hung, pass } = watched(t);
  watchdog.heard();
  watchdog.end();
  pass(10 * silenceMs);
  watchdog.wake();
  pass(10 * silenceMs);
  assert.deepEqual(hung, []);
});

test("a daemon that was held up reads what the board has said meanwhile before it judges", async (t) => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  // Unread, it stays with the kernel.
  socket.pause();
  const [board] = (await once(server, "connection")) as [Socket];
  t.after(() => {
    for (const end of [board, socket]) end.destroy();
    server.close();
  });
  let hung = 0;
  const watchdog = new Watchdog(50, () => (hung += 1));
  t.after(() => watchdog.end());
  const heard = new Promise<void>((resolve) => {
    socket.on("data", () => {
      watchdog.heard();
      resolve();
    });
  });
  await new Promise((resolve) => board.write("alive", resolve));
  watchdog.heard();
  socket.resume();
  // The process is stopped for longer than the board may be silent, while the word is in the socket.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
  await heard;
  assert.equal(hung, 0);
});
