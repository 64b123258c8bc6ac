/** The API's own promises, over a real socket: what hostile input gets, its limits, its documents. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { stat } from "node:fs/promises";
import { type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { recordSchema, statusSchema } from "../../src/api/schemas.ts";
import { TwinboardError } from "../../src/errors.ts";
import { ScriptedDaemon } from "../fixtures/scripted-system.ts";

interface Answer {
  readonly status: number;
  readonly body: string;
}

async function ask(
  daemon: ScriptedDaemon,
  method: string,
  path: string,
  options: {
    readonly type?: string;
    readonly body?: string | Buffer;
    readonly headers?: Record<string, string>;
  } = {},
): Promise<Answer> {
  const headers = {
    ...options.headers,
    ...(options.type === undefined ? {} : { "content-type": options.type }),
  };
  const asked = request({ socketPath: daemon.socket, method, path, agent: false, headers });
  asked.on("error", () => undefined);
  asked.end(options.body);
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  return { status: response.statusCode ?? 0, body: await text(response) };
}

const json = "application/json";
const long = "x".repeat(70_000);
const hostile: [
  name: string,
  method: string,
  path: string,
  options: Parameters<typeof ask>[3],
  status: number,
][] = [
  ["no JSON", "POST", "/v1/upgrade", { type: json, body: "{" }, 400],
  ["nothing", "POST", "/v1/upgrade", {}, 400],
  ["JSON without a body", "POST", "/v1/upgrade", { type: json }, 400],
  ["a list", "POST", "/v1/upgrade", { type: json, body: "[]" }, 400],
  ["null", "POST", "/v1/upgrade", { type: json, body: "null" }, 400],
  ["a relative path", "POST", "/v1/upgrade", { type: json, body: '{"path":"a"}' }, 400],
  ["a path with a zero byte", "POST", "/v1/upgrade", { type: json, body: '{"path":"/a\\u0000b"}' }, 400],
  ["an unknown key", "POST", "/v1/upgrade", { type: json, body: '{"path":"/a","forse":true}' }, 400],
  ["a wrong type", "POST", "/v1/upgrade", { type: json, body: '{"path":"/a","force":"yes"}' }, 400],
  ["another media type", "POST", "/v1/upgrade", { type: "text/plain", body: "x" }, 400],
  ["too long a body", "POST", "/v1/upgrade", { type: json, body: `{"path":"/${long}"}` }, 413],
  [
    "a body of unknown length",
    "POST",
    "/v1/upgrade",
    { type: json, body: '{"path":"/a"}', headers: { "transfer-encoding": "chunked" } },
    400,
  ],
  ["force that is none", "POST", "/v1/upgrade?force=x", { type: "application/octet-stream", body: "x" }, 400],
  ["an unknown path", "GET", "/v2/status", {}, 404],
  ["a wrong method", "DELETE", "/v1/status", {}, 404],
  ["a story that is none", "GET", "/v1/stories/nope", {}, 404],
  ["a report that is none", "GET", "/v1/stories/nope/report", {}, 404],
  ["a report's page that is none", "GET", "/v1/stories/nope/report.html", {}, 404],
  ["a number of stories that is none", "GET", "/v1/stories?limit=-1", {}, 400],
  ["a story's id that is none", "GET", "/v1/stories/..%2f..%2fetc", {}, 400],
  ["a sequence number that is none", "GET", "/v1/events?after=-1", {}, 400],
  ["a last id that is none", "GET", "/v1/events", { headers: { "last-event-id": "1e9" } }, 400],
  ["a prototype's key", "POST", "/v1/upgrade", { type: json, body: '{"__proto__":{"path":"/a"}}' }, 400],
];

test("hostile requests get a 4xx, in the shape of every error, and ask for nothing", async (t) => {
  await using daemon = await ScriptedDaemon.start();
  for (const [name, method, path, options, status] of hostile) {
    await t.test(name, async () => {
      const answer = await ask(daemon, method, path, options);
      assert.equal(answer.status, status, answer.body);
      const { error } = JSON.parse(answer.body) as { error: Record<string, unknown> };
      assert.deepEqual(Object.keys(error), ["code", "kind", "message", "remedy", "phase"]);
      assert.equal(error["kind"], "rejected");
    });
  }
  assert.deepEqual(daemon.system.asked, []);
});

test("what is no HTTP gets a 400 and is cut; the daemon goes on", async () => {
  await using daemon = await ScriptedDaemon.start();
  for (const noise of ["\0\0\0\0", `GET /${"x".repeat(100_000)} HTTP/1.1\r\n\r\n`, "GET / HTTP/9\r\n\r\n"]) {
    const socket = connect(daemon.socket);
    // What is left of the noise when the daemon closes is thrown away, and the connection reset.
    socket.on("error", () => undefined);
    let answer = "";
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      answer += chunk;
    });
    socket.end(noise);
    await new Promise((resolve) => socket.once("close", resolve));
    assert.match(answer, /^HTTP\/1\.1 4\d\d /);
  }
  assert.equal((await ask(daemon, "GET", "/v1/status")).status, 200);
});

test("the socket is for its owner and its group", async () => {
  await using daemon = await ScriptedDaemon.start();
  const { mode } = await stat(daemon.socket);
  assert.equal(mode & 0o777, 0o660);
});

test("an error of the system has the status of the table", async () => {
  await using daemon = await ScriptedDaemon.start();
  daemon.system.refusal = new TwinboardError("busy");
  assert.equal((await ask(daemon, "POST", "/v1/rollback")).status, 409);
  daemon.system.refusal = new TwinboardError("no-board-works");
  assert.equal((await ask(daemon, "POST", "/v1/cancel")).status, 503);
});

test("status is what its schema says, and the API describes itself", async () => {
  await using daemon = await ScriptedDaemon.start();
  statusSchema.parse(JSON.parse((await ask(daemon, "GET", "/v1/status")).body));
  const { body, status } = await ask(daemon, "GET", "/v1/openapi.json");
  assert.equal(status, 200);
  const document = JSON.parse(body) as { openapi: string; paths: Record<string, unknown> };
  assert.equal(document.openapi, "3.1.0");
  assert.deepEqual(Object.keys(document.paths), [
    "/v1/status",
    "/v1/upgrade",
    "/v1/rollback",
    "/v1/cancel",
    "/v1/down",
    "/v1/placement",
    "/v1/stories/{id}",
    "/v1/stories",
    "/v1/stories/{id}/report",
    "/v1/stories/{id}/report.html",
    "/v1/events",
    "/v1/boards/{board}/log",
    "/v1/boards/{board}/console",
  ]);
});

const bundleBytes = 300_000;

/** A sender as curl is one: it waits until it is asked for the body. */
async function send(daemon: ScriptedDaemon): Promise<{ asked: boolean; answer: string }> {
  const headers = { "content-type": "application/octet-stream", "content-length": bundleBytes };
  const sending = request({
    socketPath: daemon.socket,
    method: "POST",
    path: "/v1/upgrade",
    agent: false,
    headers: { ...headers, expect: "100-continue" },
  });
  sending.on("error", () => undefined);
  let asked = false;
  sending.once("continue", () => {
    asked = true;
    sending.end(Buffer.alloc(bundleBytes));
  });
  sending.flushHeaders();
  const [response] = (await once(sending, "response")) as [IncomingMessage];
  const answer = await text(response);
  sending.destroy();
  return { asked, answer };
}

test("a sender is asked for the bundle also when the daemon takes its time to want it", async () => {
  await using daemon = await ScriptedDaemon.start();
  const { consume } = daemon.system;
  daemon.system.consume = async (stream) => {
    // As long as the head of the answer could be under way.
    await delay(100);
    await consume(stream);
  };
  assert.deepEqual(await send(daemon), { asked: true, answer: '{"id":"000001-upgrade"}\n' });
  assert.equal(daemon.system.receivedBytes, bundleBytes);
});

test("a sender whose bundle nobody reads is not kept waiting", { timeout: 10_000 }, async () => {
  await using daemon = await ScriptedDaemon.start();
  daemon.system.consume = async (stream) => {
    await stream[Symbol.asyncIterator]().return?.();
  };
  assert.equal((await send(daemon)).answer, '{"id":"000001-upgrade"}\n');
});

test("events: records with their number as id, resumed after Last-Event-ID; progress has none", async () => {
  await using daemon = await ScriptedDaemon.start();
  const { system } = daemon;
  for (const phase of ["deliver", "vacate", "install"] as const)
    system.record("000001-upgrade", "phase-began", phase);
  const asked = request({
    socketPath: daemon.socket,
    path: "/v1/events?after=0",
    agent: false,
    headers: { "last-event-id": "1" },
  });
  asked.end();
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  assert.equal(response.headers["content-type"], "text/event-stream");
  let got = "";
  const until = async (wanted: RegExp): Promise<void> => {
    while (!wanted.test(got)) got += String((await once(response, "data"))[0]);
  };
  response.setEncoding("utf8");
  await until(/"install"/);
  system.progress({ story: "000001-upgrade", phase: "install", bytes: 5 });
  await until(/event: progress[^]*\n\n/);
  assert.deepEqual(
    [...got.matchAll(/^id: (.*)$/gm)].map((match) => match[1]),
    ["2", "3"],
  );
  const [, data = ""] = /^data: (.*"install".*)$/m.exec(got) ?? [];
  assert.equal(recordSchema.parse(JSON.parse(data)).phase, "install");
  assert.match(
    got,
    /\n\nevent: progress\ndata: \{"story":"000001-upgrade","phase":"install","bytes":5\}\n\n$/,
  );
  asked.destroy();
});

test("watchers are limited, and one that leaves makes room", async () => {
  await using daemon = await ScriptedDaemon.start();
  const watch = async (): Promise<{ status: number; leave: () => Promise<void> }> => {
    const asked = request({ socketPath: daemon.socket, path: "/v1/events", agent: false });
    asked.on("error", () => undefined);
    asked.end();
    const [response] = (await once(asked, "response")) as [IncomingMessage];
    const leave = async (): Promise<void> => {
      asked.destroy();
      await once(asked, "close");
    };
    return { status: response.statusCode ?? 0, leave };
  };
  const watchers = [];
  for (let n = 0; n < 32; n += 1) watchers.push(await watch());
  assert.ok(watchers.every(({ status }) => status === 200));
  assert.equal((await watch()).status, 429);
  await watchers[0]?.leave();
  // The server learns of it with its next turn of the event loop, or the one after.
  for (let status = 429; status !== 200; ) ({ status } = await watch());
});
