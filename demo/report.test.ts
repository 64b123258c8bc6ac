import assert from "node:assert/strict";
import { test } from "node:test";
import type { StoryResult } from "../src/upgrade/status.ts";
import type { Act, Seen } from "./act.ts";
import type { RequestRecord } from "./load/request.ts";
import type { Window } from "./load/window.ts";
import { type Acts, type DemoReport, demoReport, type UpgradeReport } from "./report.ts";
import { phaseRows, storyRows } from "./tables.ts";
import { complaints } from "./verdict.ts";

const window: Window = {
  requests: 1000,
  failed: 0,
  resets: 0,
  deadlineResets: 0,
  repeated: 0,
  connections: 900,
  longestGapMs: 30.06,
  p99Ms: 5.14,
  versions: { "1.0.0": 500 },
};
const seen: Seen = { all: window, keptAlive: { ...window, requests: 300, connections: 20 }, troubles: [] };

function act(result: Partial<StoryResult>, span = { from: 1000, to: 2000 }): Act {
  const story: StoryResult = {
    id: "000002-upgrade",
    kind: "upgrade",
    outcome: "committed",
    from: "1.0.0",
    to: "2.0.0",
    phases: { boot: 3000.26, probation: 10_000 },
    error: null,
    drain: null,
    endedAt: 0,
    ...result,
  };
  return { span, result: story, records: [], seen };
}

const drain = { left: 0, finished: 3, closedEarly: 14, cut: 2, services: {}, ms: 8000, remarks: [] };
const acts: Acts = {
  baseline: seen,
  committed: act({ drain }),
  rollback: act({ kind: "rollback", from: "2.0.0", to: "1.0.0", drain }),
  failover: {
    ...act({ kind: "failover" }, { from: 3000, to: 4000 }),
    takeoverMs: 61.23,
    firstAnswerMs: null,
  },
  standby: act({ kind: "standby", to: "1.0.0" }),
  takenBack: act({ outcome: "rolled-back" }),
  refused: act({ outcome: "failed", to: "4.0.0" }, { from: 5000, to: 6000 }),
  dormant: { seconds: 10, cpuNs: 0, residentBytes: 1 },
  traditional: {
    span: { from: 0, to: 9000 },
    times: { stop: 1000, write: 1060, boot: 1500, ready: 5500 },
    seen: { ...seen, all: { ...window, failed: 7, resets: 2, longestGapMs: 4567.89 } },
    records: [],
  },
};
const request: RequestRecord = {
  kind: "quick",
  scheduledAt: 1500,
  endedAt: 1501,
  outcome: "ok",
  version: "1.0.0",
};
const good = demoReport(acts, [
  request,
  { ...request, kind: "steady", ipv6: true },
  { ...request, kind: "idle", reused: true, scheduledAt: 2500, endedAt: 2501 },
  { ...request, scheduledAt: 2900, endedAt: 3100, outcome: "reset" },
  { ...request, scheduledAt: 3500, endedAt: 3600, outcome: "reset" },
  { ...request, scheduledAt: 6500, endedAt: 6501, outcome: "failed" },
]);

test("figures have one digit after the point", () => {
  const [upgrade] = good.upgrades;
  assert.deepEqual(
    [upgrade?.longestGapMs, upgrade?.baselineP99Ms, upgrade?.phases.boot],
    [30.1, 5.1, 3000.3],
  );
  assert.deepEqual(
    [good.failover.takeoverMs, good.failover.firstAnswerMs, good.failover.lost],
    [61.2, null, 2],
  );
  assert.deepEqual(good.traditional, {
    downMs: 4567.9,
    requests: 1000,
    failed: 9,
    stopMs: 60,
    writeMs: 440,
    bootMs: 4000,
  });
});

test("the whole load is counted, between the acts too, but not while a board was dead nor after the end", () => {
  assert.deepEqual(good.load, { requests: 3, failed: 0, resets: 0, ipv4: 2, ipv6: 1 });
  const { requests, closedEarly, cut, connections } = good.keptAlive;
  assert.deepEqual(
    { requests, closedEarly, cut, connections },
    { requests: 2, closedEarly: 28, cut: 4, connections: 1 },
  );
});

test("a request that was sent twice is counted, if it was answered", () => {
  const twice = { ...request, kind: "idle" as const, repeated: true as const };
  const { keptAlive } = demoReport(acts, [twice, { ...twice, outcome: "reset" }, request]);
  assert.deepEqual([keptAlive.requests, keptAlive.repeated, keptAlive.resets], [2, 1, 1]);
});

test("nothing is complained of when all is as intended; what was lost with a board that died is not", () => {
  assert.deepEqual(complaints(good), []);
  const crossed = { ...good.keptAlive, repeated: 3 };
  assert.deepEqual(complaints({ ...good, keptAlive: crossed }), []);
  const lost = { ...good, failover: { ...good.failover, failed: 9 } };
  assert.deepEqual(complaints(lost), []);
});

const [committed, takenBack] = good.upgrades as [UpgradeReport, UpgradeReport];
const changed = (changes: Partial<UpgradeReport>): DemoReport => ({
  ...good,
  upgrades: [{ ...committed, ...changes }, takenBack],
});

for (const [what, report, words] of [
  ["another outcome", changed({ outcome: "rolled-back" }), /to be committed, and is rolled-back/],
  ["a failed request", changed({ failed: 1 }), /1 requests failed/],
  ["a reset", changed({ resets: 2 }), /2 requests were reset/],
  ["a reset at the deadline", changed({ deadlineResets: 3 }), /3 requests were reset/],
  ["no load", changed({ requests: 0 }), /no requests were made/],
  ["an upgrade that is missing", { ...good, upgrades: [committed] }, /is missing/],
  ["a dormant board that runs", { ...good, dormant: { ...good.dormant, cpuNs: 7 } }, /used 7 ns/],
  ["a failed rollback", { ...good, rollback: { ...good.rollback, outcome: "stuck" } }, /rollback was to be/],
  [
    "a refused one that answers",
    { ...good, refused: { ...good.refused, answeredBy: { "4.0.0": 3 } } },
    /3 requests/,
  ],
  [
    "a failure between the acts",
    { ...good, load: { ...good.load, failed: 2 } },
    /2 requests of the whole load/,
  ],
  ["no kept-alive clients", { ...good, keptAlive: { ...good.keptAlive, requests: 0 } }, /kept-alive/],
  [
    "more sent twice than chance explains",
    { ...good, keptAlive: { ...good.keptAlive, repeated: 4 } },
    /4 requests had to be sent twice, and 28 connections were closed/,
  ],
] as [string, DemoReport, RegExp][]) {
  test(`${what} is complained of`, () => {
    const found = complaints(report);
    assert.equal(found.length, 1, found.join("; "));
    assert.match(found[0] ?? "", words);
  });
}

test("the tables have a row a story, and a dash for a phase that was not reached", () => {
  assert.equal(storyRows(good).length, 7);
  const [heading, row] = phaseRows(good);
  assert.equal(row?.[(heading ?? []).indexOf("boot")], "3000.3");
  assert.equal(row?.[(heading ?? []).indexOf("verify")], "–");
});
