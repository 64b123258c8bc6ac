/** Clients of HTTP/1.1 through a takeover and its drain. docs/clients.md tells what is shown here. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "../../src/system/process.ts";
import {
  type ClientKind,
  type Exposed,
  each,
  oftenMs,
  openCourse,
  seldomMs,
  throughTakeover,
  unharmed,
} from "../fixtures/clients/course.ts";
import { type CurlKind, openCurlCourse } from "../fixtures/clients/curl.ts";
import { ClientLab } from "../fixtures/clients/lab.ts";
import { wrk } from "../fixtures/clients/load.ts";
import { missing, versions } from "../fixtures/clients/programs.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces need root";
const signal = AbortSignal.timeout(120_000);

const busy = "at most one failed, served by a and b";

/** What is different: a request that crosses the close on its way, and what is under way at the deadline. */
const exposed: Readonly<Record<string, Exposed>> = {
  "Node agent": { busy, crossed: "ECONNRESET", cut: each("ECONNRESET") },
  "Node agent, TLS": { busy, crossed: "ECONNRESET", cut: each("ECONNRESET") },
  "Node fetch": { busy, crossed: "fetch failed", cut: { ...each("fetch failed"), download: "terminated" } },
  "Python requests": {
    busy,
    crossed: "ConnectionError",
    cut: { ...each("ConnectionError"), download: "ChunkedEncodingError" },
  },
  "Python requests, TLS": {
    busy,
    crossed: "ConnectionError",
    cut: { ...each("ConnectionError"), download: "ChunkedEncodingError" },
  },
  "Python requests with Retry": {
    busy,
    crossed: "b",
    cut: { slow: "b", first: "b", download: "ChunkedEncodingError", upload: "ConnectionError" },
  },
  curl: { often: ["a"], crossed: "b", cut: { ...each("exit 56"), slow: "b", retried: "b" } },
  "curl, TLS": { often: ["a"], crossed: "b", cut: { ...each("exit 56"), slow: "b", retried: "b" } },
};

test("clients of HTTP/1.1 through a takeover", { skip, signal }, async (t) => {
  const absent = { python: await missing("python3"), curl: await missing("curl"), wrk: await missing("wrk") };
  t.diagnostic(await versions("python3", "curl", "wrk"));
  await using lab = await ClientLab.make("http", signal);
  const opened = [
    ...nodeKinds(lab).map(async (kind) => await openCourse(lab, kind)),
    ...(absent.python === false ? pythonKinds(lab) : []).map(async (kind) => await openCourse(lab, kind)),
    ...(absent.curl === false ? curlKinds : []).map(async (kind) => await openCurlCourse(lab, kind)),
  ];
  const courses = await Promise.all(opened);
  const load = absent.wrk === false ? beginWrk(lab) : undefined;
  const firstAnswer = absent.curl === false ? beginFirst(lab) : undefined;
  if (load !== undefined)
    await lab.untilAsked([
      ["often", 1],
      ["seldom", 1],
    ]);
  if (firstAnswer !== undefined) await lab.untilAsked([["first", 1]]);
  const { drain, results } = await throughTakeover(lab, courses, signal);

  for (const [name, expected] of Object.entries(exposed)) {
    const program = name.startsWith("curl") ? absent.curl : name.startsWith("Python") ? absent.python : false;
    await t.test(name, { skip: program }, () => {
      const result = results.get(name);
      assert.deepEqual(result, { ...unharmed, ...expected });
    });
  }
  await t.test(
    "TLS whose server asks for a second ClientHello: the first answer",
    { skip: absent.curl },
    async () => {
      const { board, hellos } = (await firstAnswer) ?? {};
      assert.deepEqual({ board, hellos }, { board: "a", hellos: 2 });
    },
  );
  await t.test("wrk", { skip: absent.wrk }, async () => {
    assert.deepEqual(await load, { often: countsOf(60, 0), seldom: countsOf(6, 1) });
  });
  await t.test("nothing is cut that is between two requests, or ends in time", () => {
    t.diagnostic(JSON.stringify(drain));
    const { "early-http": http, "early-https": https } = drain.services;
    assert.deepEqual([http?.cut, https?.cut], [0, 0]);
  });
});

function nodeKinds(lab: ClientLab): ClientKind[] {
  const node = lab.node();
  return [
    { name: "Node agent", client: "agent", protocol: "http", program: () => node },
    { name: "Node agent, TLS", client: "agent", protocol: "https", program: () => node },
    { name: "Node fetch", client: "fetch", protocol: "http", program: () => lab.node() },
  ];
}

function pythonKinds(lab: ClientLab): ClientKind[] {
  const python = lab.python();
  return [
    { name: "Python requests", client: "session", protocol: "http", program: () => python },
    { name: "Python requests, TLS", client: "session", protocol: "https", program: () => python },
    { name: "Python requests with Retry", client: "retries", protocol: "http", program: () => python },
  ];
}

const curlKinds: readonly CurlKind[] = [
  { name: "curl", protocol: "http", options: [] },
  { name: "curl, TLS", protocol: "https", options: ["--http1.1"] },
];

/** Under way at the takeover. The key share that curl offers is of a group that Node's server does not take (RFC 8446, section 4.1.4). */
async function beginFirst(lab: ClientLab): Promise<{ board: string; hellos: number }> {
  const url = `${lab.origin("early", "https")}/held?until=early&who=first`;
  const args = ["--disable", "--noproxy", "*", "--silent", "--verbose", "--cacert", lab.caFile, "--http1.1"];
  const command = lab.routed.namespaces.outside.enter("curl", [...args, "--curves", "ffdhe8192:P-256", url]);
  const { stdout, stderr } = await run(...command, { timeoutMs: 40_000 });
  const { board } = JSON.parse(stdout.toString()) as { board: string };
  return { board, hellos: stderr.split("(OUT), TLS handshake, Client hello").length - 1 };
}

/** wrk connects again by itself, and calls each close of a connection a read error, in a request or not. */
const countsOf = (count: number, read: number) => ({
  wrk: { requests: count, connect: 0, read, write: 0, status: 0, timeout: 0 },
  boards: { asked: count, answered: count },
});

async function beginWrk(lab: ClientLab) {
  const one = async (who: string, pauseMs: number, count: number) => {
    const url = `${lab.origin("early", "http")}/?who=${who}`;
    return { wrk: await wrk(lab, url, { pauseMs, count, seconds: 16 }), boards: await lab.counted(who) };
  };
  const [often, seldom] = await Promise.all([one("often", oftenMs, 60), one("seldom", seldomMs, 6)]);
  return { often, seldom };
}
