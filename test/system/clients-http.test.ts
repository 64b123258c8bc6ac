/** Clients of HTTP/1.1 through a takeover and its drain. docs/clients.md tells what is shown here. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type ClientKind, type Course, type CourseResult, openCourse } from "../fixtures/clients/course.ts";
import { curl, openCurlCourse } from "../fixtures/clients/curl.ts";
import { ClientLab } from "../fixtures/clients/lab.ts";
import { wrk } from "../fixtures/clients/load.ts";
import { missing, version } from "../fixtures/clients/programs.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces need root";
const signal = AbortSignal.timeout(120_000);

/** Pauses shorter and longer than the lab's X. */
const oftenMs = 100;
const seldomMs = 2000;

/** What every client sees that is between two requests when its connection is closed: nothing, but for a new connection. */
const unharmed = {
  failed: [],
  afterIdle: "b over another connection",
  often: ["a", "b"],
  seldom: ["a", "b"],
  finished: { slow: "a", first: "a", download: "a", upload: "a" },
};
const busy = "at most one failed, served by a and b";

type Exposed = Pick<CourseResult, "crossed" | "cut"> & Partial<CourseResult>;

/** What is different: a request that crosses the close on its way, and what is under way at the deadline. */
const exposed: Readonly<Record<string, Exposed>> = {
  "Node agent": { busy, crossed: "ECONNRESET", cut: all("ECONNRESET") },
  "Node agent, TLS": { busy, crossed: "ECONNRESET", cut: all("ECONNRESET") },
  "Node fetch": { busy, crossed: "fetch failed", cut: { ...all("fetch failed"), download: "terminated" } },
  "Python requests": {
    busy,
    crossed: "ConnectionError",
    cut: { ...all("ConnectionError"), download: "ChunkedEncodingError" },
  },
  "Python requests, TLS": {
    busy,
    crossed: "ConnectionError",
    cut: { ...all("ConnectionError"), download: "ChunkedEncodingError" },
  },
  "Python requests with Retry": {
    busy,
    crossed: "b",
    cut: { slow: "b", first: "b", download: "ChunkedEncodingError", upload: "ConnectionError" },
  },
  curl: { often: ["a"], crossed: "b", cut: { ...all("exit 56"), slow: "b", retried: "b" } },
  "curl, TLS": { often: ["a"], crossed: "b", cut: { ...all("exit 56"), slow: "b", retried: "b" } },
};

function all(outcome: string): Exposed["cut"] {
  return { slow: outcome, first: outcome, download: outcome, upload: outcome };
}

test("clients of HTTP/1.1 through a takeover", { skip, signal }, async (t) => {
  const absent = { python: await missing("python3"), curl: await missing("curl"), wrk: await missing("wrk") };
  for (const program of ["python3", "curl", "wrk"] as const) t.diagnostic(`${await version(program)}`);
  await using lab = await ClientLab.make("http", signal);
  const courses: Course[] = [];
  courses.push(
    ...(await Promise.all(
      kinds(lab, absent.python === false).map(async (kind) => await openCourse(lab, kind)),
    )),
  );
  if (absent.curl === false) {
    const plain = { name: "curl", protocol: "http", options: [] } as const;
    const secure = { name: "curl, TLS", protocol: "https", options: ["--http1.1"] } as const;
    courses.push(
      ...(await Promise.all([plain, secure].map(async (kind) => await openCurlCourse(lab, kind)))),
    );
  }
  await Promise.all(courses.map(async (course) => await course.begin()));
  const load = absent.wrk === false ? beginWrk(lab) : undefined;
  if (load !== undefined)
    await lab.untilAsked(
      new Map([
        ["often", 1],
        ["seldom", 1],
      ]),
    );
  const firstAnswer = absent.curl === false ? beginFirst(lab) : undefined;
  if (firstAnswer !== undefined) await lab.untilAsked(new Map([["first", 1]]));
  const rest = async (): Promise<void> => {
    await Promise.all(courses.map(async (course) => await course.rest()));
  };
  const drain = await lab.takeOver(signal, rest);
  const results = new Map(
    await Promise.all(courses.map(async (one) => [one.kind, await one.result()] as const)),
  );
  const wrkCounts = await load;

  for (const [name, expected] of Object.entries(exposed)) {
    const program = name.startsWith("curl") ? absent.curl : name.startsWith("Python") ? absent.python : false;
    await t.test(name, { skip: program }, () => {
      const result = results.get(name);
      const first = result?.finished.first;
      // Whether session tickets come before or after the first request is a matter of microseconds; see the test below.
      if (name.endsWith("TLS")) assert.ok(first === "a" || first === result?.cut["first"], first);
      const finished = { ...unharmed.finished, ...(name.endsWith("TLS") ? { first } : {}) };
      assert.deepEqual(result, { ...unharmed, finished, ...expected });
    });
  }
  await t.test(
    "TLS: an X that is longer protects the first answer of a connection",
    { skip: absent.curl },
    async () => {
      assert.equal((await firstAnswer)?.at(-1)?.outcome, "a");
    },
  );
  await t.test("wrk", { skip: absent.wrk }, () => {
    assert.deepEqual(wrkCounts, { often: loadOf(60, 0), seldom: loadOf(6, 1) });
  });
  await t.test("nothing is cut that is between two requests, or ends in time", () => {
    t.diagnostic(JSON.stringify(drain));
    const { "early-http": http, "early-https": https } = drain.services;
    assert.deepEqual([http?.cut, https?.cut], [0, 0]);
  });
});

function kinds(lab: ClientLab, withPython: boolean): ClientKind[] {
  const node = lab.node();
  const ofNode: ClientKind[] = [
    { name: "Node agent", client: "agent", protocol: "http", program: () => node },
    { name: "Node agent, TLS", client: "agent", protocol: "https", program: () => node },
    { name: "Node fetch", client: "fetch", protocol: "http", program: () => lab.node() },
  ];
  if (!withPython) return ofNode;
  const python = lab.python();
  return [
    ...ofNode,
    { name: "Python requests", client: "session", protocol: "http", program: () => python },
    { name: "Python requests, TLS", client: "session", protocol: "https", program: () => python },
    { name: "Python requests with Retry", client: "retries", protocol: "http", program: () => python },
  ];
}

/** On a connection of its own; answered when the first flow of another service was closed. */
async function beginFirst(lab: ClientLab) {
  return await curl(lab, [`${lab.origin("late", "https")}/held?until=early&who=first`]);
}

/** wrk connects again by itself, and calls each close of a connection a read error, in a request or not. */
const loadOf = (count: number, read: number) => ({
  wrk: { requests: count, connect: 0, read, write: 0, status: 0, timeout: 0 },
  boards: { asked: count, answered: count },
});

async function beginWrk(lab: ClientLab) {
  const one = async (who: string, pauseMs: number, count: number) => {
    const url = `${lab.origin("early", "http")}/?who=${who}`;
    return { wrk: await wrk(lab, url, { pauseMs, count, seconds: 14 }), boards: await lab.counted(who) };
  };
  const [often, seldom] = await Promise.all([one("often", oftenMs, 60), one("seldom", seldomMs, 6)]);
  return { often, seldom };
}
