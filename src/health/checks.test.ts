import assert from "node:assert/strict";
import { createServer as createHttpServer, type RequestListener } from "node:http";
import { type AddressInfo, createServer, type Server } from "node:net";
import { type TestContext, test } from "node:test";
import type { Board } from "../board/board.ts";
import { TwinboardError } from "../errors.ts";
import type { Check } from "./check.ts";
import { Checks } from "./checks.ts";
import type { CheckAnswer, HealthReport } from "./health.ts";
import { HttpCheck } from "./http-check.ts";
import { TcpCheck } from "./tcp-check.ts";

const timing = { intervalMs: 10, timeoutMs: 2000, failures: 3 };
const board = (host = "127.0.0.1"): Board => ({ name: "b", mgmtHost: host }) as Board;

async function listening(t: TestContext, server: Server, host = "127.0.0.1"): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, host, resolve);
  });
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

async function http(t: TestContext, listener: RequestListener): Promise<number> {
  const server = createHttpServer(listener);
  t.after(() => server.closeAllConnections());
  return await listening(t, server);
}

async function whyNot(check: Check): Promise<string | undefined> {
  try {
    await check.ask("127.0.0.1", AbortSignal.timeout(5000));
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** The first report that `wanted` accepts. */
async function reported(checks: Checks, wanted: (report: HealthReport) => boolean): Promise<HealthReport> {
  const { promise, resolve } = Promise.withResolvers<HealthReport>();
  const stop = checks.watch(board(), (report) => {
    if (wanted(report)) resolve(report);
  });
  try {
    return await promise;
  } finally {
    stop();
  }
}

test("http: 2xx passes, anything else tells why", async (t) => {
  let status = 200;
  const port = await http(t, (request, response) => {
    assert.equal(request.headers.host, "localhost");
    assert.equal(request.headers.connection, "close");
    response.writeHead(status).end("body");
  });
  const check = new HttpCheck("web", port, "/healthz", timing);
  assert.equal(await whyNot(check), undefined);
  for (status of [204, 299]) assert.equal(await whyNot(check), undefined);
  for (status of [302, 404, 503]) assert.equal(await whyNot(check), `HTTP status ${status}`);
});

test("http: an endless answer is cut at the limit", async (t) => {
  const port = await http(t, (_request, response) => {
    const more = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(16_384)));
      response.once("drain", more);
    };
    more();
  });
  assert.equal(await whyNot(new HttpCheck("web", port, "/", timing)), "an answer of more than 65536 bytes");
});

test("http: an answer that breaks off, and one that is no HTTP", async (t) => {
  const port = await http(t, (_request, response) => {
    response.writeHead(200, { "content-length": "100" });
    response.write("x", () => response.destroy());
  });
  assert.match((await whyNot(new HttpCheck("web", port, "/", timing))) ?? "", /aborted|hang up|reset/i);
  const other = await listening(
    t,
    createServer((socket) => socket.end("SSH-2.0-x\r\n")),
  );
  assert.match((await whyNot(new HttpCheck("web", other, "/", timing))) ?? "", /Parse Error/);
});

test("tcp: an accepted connection passes, a refused one does not", async (t) => {
  const server = createServer((socket) => socket.on("error", () => undefined));
  const port = await listening(t, server);
  assert.equal(await whyNot(new TcpCheck("db", port, timing)), undefined);
  await new Promise((resolve) => server.close(resolve));
  assert.match((await whyNot(new TcpCheck("db", port, timing))) ?? "", /ECONNREFUSED/);
});

test("ipv6 link-local hosts with a scope are understood", async (t) => {
  const server = createHttpServer((_request, response) => response.end());
  try {
    const port = await listening(t, server, "::1");
    // The loopback card has no link-local address, but its scope is parsed the same way.
    await new HttpCheck("web", port, "/", timing).ask("::1%lo", AbortSignal.timeout(5000));
  } catch (error) {
    if (!/EADDRNOTAVAIL|EAFNOSUPPORT/.test((error as Error).message)) throw error;
    t.skip(`this host has no IPv6: ${(error as Error).message}`);
  }
});

test("verify resolves with the first round in which everything passes", async (t) => {
  let asked = 0;
  const port = await http(t, (_request, response) => {
    asked += 1;
    response.writeHead(asked < 4 ? 503 : 200).end();
  });
  const report = await new Checks([new HttpCheck("web", port, "/", timing)]).verify(
    board(),
    AbortSignal.timeout(10_000),
  );
  assert.equal(asked, 4);
  assert.deepEqual(report, {
    healthy: true,
    checks: [{ name: "web", healthy: true, failures: 0, threshold: 3 }],
  });
});

test("every answer is told as it comes, with how long it took and why it failed", async (t) => {
  let asked = 0;
  const port = await http(t, (_request, response) => {
    asked += 1;
    response.writeHead(asked < 3 ? 503 : 200).end();
  });
  const checks = new Checks([new HttpCheck("web", port, "/", timing)]);
  const verified: CheckAnswer[] = [];
  await checks.verify(board(), AbortSignal.timeout(10_000), (answer) => verified.push(answer));
  assert.deepEqual(
    verified.map(({ check, reason }) => [check, reason]),
    [
      ["web", "HTTP status 503"],
      ["web", "HTTP status 503"],
      ["web", undefined],
    ],
  );
  assert.ok(verified.every(({ ms }) => ms > 0));
  const watched = Promise.withResolvers<CheckAnswer>();
  const stop = checks.watch(board(), () => undefined, watched.resolve);
  assert.equal((await watched.promise).check, "web");
  stop();
});

test("verify without checks is content with READY alone", async () => {
  const report = await new Checks([]).verify(board(), AbortSignal.timeout(1000));
  assert.deepEqual(report, { healthy: true, checks: [] });
});

test("verify at its deadline tells the last reasons; cancelled it tells that", async (t) => {
  let asked = 0;
  const second = Promise.withResolvers<void>();
  const port = await http(t, (_request, response) => {
    asked += 1;
    // Whoever asks again has had the first answer.
    if (asked > 1) second.resolve();
    response.writeHead(503).end();
  });
  const checks = new Checks([new HttpCheck("web", port, "/", timing), new TcpCheck("tcp", port, timing)]);
  const deadline = new AbortController();
  void second.promise.then(() => deadline.abort(new DOMException("late", "TimeoutError")));
  await assert.rejects(checks.verify(board(), deadline.signal), (error: TwinboardError) => {
    assert.equal(error.code, "board-unhealthy");
    assert.equal(error.detail, "board b: web: HTTP status 503");
    return true;
  });
  const cancelled = new TwinboardError("cancelled");
  const controller = new AbortController();
  const verifying = checks.verify(board(), controller.signal);
  controller.abort(cancelled);
  await assert.rejects(verifying, cancelled);
});

test("a board that does not answer at all fails by the check's own timeout", async (t) => {
  const port = await listening(
    t,
    createServer((socket) => socket.on("error", () => undefined)),
  );
  const silent = new Checks([
    new HttpCheck("web", port, "/", { intervalMs: 10, timeoutMs: 50, failures: 2 }),
  ]);
  const report = await reported(silent, ({ healthy }) => !healthy);
  assert.deepEqual(report.checks, [
    { name: "web", healthy: false, failures: 2, threshold: 2, reason: "no answer within 50 ms" },
  ]);
});

test("watch: unhealthy at the threshold and not before, healthy again with one answer", async (t) => {
  let healthy = true;
  const port = await http(t, (_request, response) => response.writeHead(healthy ? 200 : 500).end());
  const seen: string[] = [];
  const { promise: recovered, resolve } = Promise.withResolvers<void>();
  const stop = new Checks([new HttpCheck("web", port, "/", timing)]).watch(board(), (report) => {
    seen.push(`${report.checks[0]?.failures}${report.healthy ? "" : "!"}`);
    if (seen.length === 1) healthy = false;
    if (!report.healthy) healthy = true;
    if (seen.includes("3!") && report.healthy) resolve();
  });
  await recovered;
  stop();
  assert.deepEqual(seen.slice(0, 4), ["0", "1", "2", "3!"]);
  assert.equal(seen.at(-1), "0");
});

test("after the end of a watch nobody is called, nothing is asked, and no timer is left", async (t) => {
  let asked = 0;
  const { promise: twice, resolve } = Promise.withResolvers<void>();
  const port = await http(t, (_request, response) => {
    asked += 1;
    if (asked === 2) resolve();
    else response.end();
  });
  let called = 0;
  const stop = new Checks([new HttpCheck("web", port, "/", timing)]).watch(board(), () => {
    called += 1;
  });
  // The second question is under way, and is never answered.
  await twice;
  const before = process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  stop();
  stop();
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  const after = process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  assert.equal(called, 1);
  assert.equal(asked, 2);
  assert.ok(after < before, `${after} timers after the end, ${before} before it`);
});
