import assert from "node:assert/strict";
import { test } from "node:test";
import type { RequestRecord } from "./request.ts";
import { cutWindow } from "./window.ts";

/** A request every 10 ms from 1000 on, answered 2 ms later. */
function steady(count: number): RequestRecord[] {
  return Array.from({ length: count }, (_, index) => ({
    kind: "quick" as const,
    scheduledAt: 1000 + index * 10,
    endedAt: 1002 + index * 10,
    outcome: "ok" as const,
    version: index < count / 2 ? "1.0.0" : "2.0.0",
  }));
}

test("a steady row has the gap of its interval, and counts what began in the span", () => {
  const window = cutWindow(steady(100), { from: 1100, to: 1900 });
  assert.equal(window.requests, 80);
  assert.equal(window.longestGapMs, 10);
  assert.ok(Math.abs(window.p99Ms - 2) < 0.01);
  assert.deepEqual(window.versions, { "1.0.0": 40, "2.0.0": 40 });
});

test("a failure is counted, and lengthens the gap though something was answered meanwhile", () => {
  const records = steady(100).map((record, index) =>
    index === 50 ? { ...record, outcome: "failed" as const } : record,
  );
  const window = cutWindow(records, { from: 1100, to: 1900 });
  assert.equal(window.failed, 1);
  assert.equal(window.longestGapMs, 20);
});

test("the gap at the span's edges reaches to the answers outside, or to the edge where there is none", () => {
  assert.equal(cutWindow(steady(10), { from: 1045, to: 1046 }).longestGapMs, 10);
  assert.equal(cutWindow(steady(10), { from: 1050, to: 1500 }).longestGapMs, 1500 - 1092);
  assert.equal(cutWindow([], { from: 0, to: 500 }).longestGapMs, 500);
});

test("a slow download fills no gap", () => {
  const slow = { ...steady(1)[0], kind: "slow", scheduledAt: 1100, endedAt: 1200 } as RequestRecord;
  assert.equal(cutWindow([slow], { from: 1000, to: 2000 }).longestGapMs, 1000);
  assert.equal(cutWindow([slow], { from: 1000, to: 2000 }).requests, 1);
});

test("resets before the drain's deadline and from it on are apart", () => {
  const records = steady(4).map((record, index) => ({
    ...record,
    outcome: "reset" as const,
    endedAt: 2000 + index,
  }));
  const { resets, deadlineResets } = cutWindow(records, { from: 1000, to: 1100, drainDeadline: 2002 });
  assert.deepEqual({ resets, deadlineResets }, { resets: 2, deadlineResets: 2 });
});
