/** The generator as a process, against servers of which each does one thing wrong. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { startLoad } from "./load.ts";
import { now, type Plan, type RequestRecord } from "./request.ts";

const steady = { kind: "steady", keptAlive: true } as const;
const head = "HTTP/1.1 200 OK\r\nImage-Version: 1.0.0\r\nContent-Length: 2\r\n\r\n";

/** Runs load against a server that does `answer` with every connection, until those of the first 300 ms have ended. */
async function recordsOf(
  context: TestContext,
  answer: (socket: Socket) => void,
  timeoutMs = 5000,
  changes: Partial<Plan> = {},
): Promise<readonly RequestRecord[]> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => answer(socket));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  context.after(() => server.close());
  return await loadOn(server, timeoutMs, changes);
}

async function loadOn(
  server: Server,
  timeoutMs: number,
  changes: Partial<Plan> = {},
): Promise<readonly RequestRecord[]> {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const plan = { kind: "quick" as const, url, intervalMs: 20, timeoutMs, ...changes };
  await using load = startLoad([plan], (command, args) => [command, [...args]]);
  // On a busy machine the generator takes a while to begin.
  await load.settled(now(), AbortSignal.timeout(30_000));
  const at = now() + 300;
  await load.settled(at, AbortSignal.timeout(30_000));
  return load.records.filter(({ scheduledAt }) => scheduledAt < at);
}

function assertAll(records: readonly RequestRecord[], outcome: string, detail?: RegExp): void {
  assert.ok(records.length > 0, "there were requests");
  for (const record of records) {
    assert.equal(record.outcome, outcome, JSON.stringify(record));
    if (detail !== undefined) assert.match(record.detail ?? "", detail);
  }
}

test("whole answers are ok, know their version, and their times are an even row", async (t) => {
  const records = await recordsOf(t, (socket) => socket.end(`${head}ok`));
  assertAll(records, "ok");
  assert.ok(records.every(({ version }) => version === "1.0.0"));
  const times = records.map(({ scheduledAt }) => scheduledAt).toSorted((one, other) => one - other);
  for (const [index, time] of times.entries())
    assert.ok(Math.abs(time - (times[0] ?? 0) - index * 20) < 0.01, "the row has no hole");
});

test("an answer that ends by a reset is a reset", async (t) => {
  assertAll(
    await recordsOf(t, (socket) => socket.write(`${head}o`, () => socket.resetAndDestroy())),
    "reset",
  );
});

test("an answer that ends too early is a reset", async (t) => {
  assertAll(await recordsOf(t, (socket) => socket.end(`${head}o`)), "reset");
});

test("another status is a failure", async (t) => {
  const records = await recordsOf(t, (socket) => socket.end("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"));
  assertAll(records, "failed", /status 503/);
});

test("no answer in time is a failure", async (t) => {
  assertAll(await recordsOf(t, () => undefined, 200), "failed", /no answer in 200 ms/);
});

test("a refused connection is a failure", async () => {
  const server = createServer();
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  const closed = { address: () => ({ port }) } as Server;
  assertAll(await loadOn(closed, 1000), "failed", /ECONNREFUSED/);
});

test("a kept-alive client keeps its connection, begins when it must, and makes another when it was closed in between", async (t) => {
  let connections = 0;
  let answers = 0;
  const server = createHttpServer((_, response) => {
    answers += 1;
    // Of every five answers one is the connection's last, as servers do that have enough of it.
    if (answers % 5 === 0) response.setHeader("connection", "close");
    response.end("ok");
  });
  server.on("connection", () => (connections += 1));
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const plan = { kind: "steady" as const, url, intervalMs: 10, timeoutMs: 5000, keptAlive: true };
  await using load = startLoad([plan], (command, args) => [command, [...args]]);
  const deadline = AbortSignal.timeout(30_000);
  // On a busy host its program takes a while to begin.
  do await load.settled(now() + 500, deadline);
  while (load.records.length <= 10);
  const { records } = load;
  assertAll(records, "ok");
  const fresh = records.filter(({ reused }) => reused !== true).length;
  assert.ok(fresh < records.length / 2, `${fresh} of ${records.length} requests made a connection`);
  assert.ok(Math.abs(fresh - connections) <= 1, `${connections} connections`);
});

test("a kept connection that is reset under a request: it is repeated, on one of its own", async (t) => {
  const served = new Set<Socket>();
  const records = await recordsOf(
    t,
    (socket) => {
      served.add(socket);
      socket.write(`${head}ok`);
      socket.once("data", () => socket.resetAndDestroy());
    },
    5000,
    steady,
  );
  assert.ok(served.size > 1);
  assertAll(records, "ok");
  assert.equal(records[0]?.repeated, undefined);
  assert.ok(records.some(({ repeated }) => repeated === true));
  assert.ok(records.every(({ reused }) => reused !== true));
});

test("a kept connection that is reset within an answer is a reset", async (t) => {
  const records = await recordsOf(
    t,
    (socket) => {
      socket.write(`${head}ok`);
      socket.once("data", () => socket.write(`${head}o`, () => socket.resetAndDestroy()));
    },
    5000,
    steady,
  );
  const repeated = records.filter((record) => record.repeated === true);
  assert.deepEqual(repeated, []);
  assertAll(
    records.filter(({ reused }) => reused === true),
    "reset",
  );
});

test("a kept connection that is cut while the answer is waited for, or within its head, is a reset", async (t) => {
  for (const cut of [
    (socket: Socket) => setTimeout(() => socket.resetAndDestroy(), 400),
    (socket: Socket) => socket.write("HTTP/1.1 200", () => socket.resetAndDestroy()),
  ]) {
    const records = await recordsOf(
      t,
      (socket) => {
        socket.write(`${head}ok`);
        socket.once("data", () => cut(socket));
      },
      5000,
      { ...steady, intervalMs: 100 },
    );
    assertAll(
      records.filter(({ reused }) => reused === true),
      "reset",
    );
    assert.ok(records.every(({ repeated }) => repeated !== true));
  }
});

test("a request that is reset on its second connection too is a reset", async (t) => {
  let connections = 0;
  const answer = (socket: Socket): void => {
    connections += 1;
    if (connections > 1) socket.resetAndDestroy();
    else {
      socket.write(`${head}ok`);
      socket.once("data", () => socket.resetAndDestroy());
    }
  };
  const [first, ...later] = await recordsOf(t, answer, 5000, steady);
  assert.equal(first?.outcome, "ok");
  assertAll(later, "reset");
  assert.equal(later[0]?.repeated, true);
});
