import assert from "node:assert/strict";
import { test } from "node:test";
import type { StoryResult } from "../src/upgrade/status.ts";
import type { Window } from "./load/window.ts";
import { complaints, type DemoReport, phaseRows, tableRows, upgradeReport } from "./report.ts";

const window: Window = {
  requests: 1000,
  failed: 0,
  resets: 0,
  deadlineResets: 0,
  longestGapMs: 24.13,
  p99Ms: 5.08,
  versions: { "1.0.0": 400, "2.0.0": 600 },
};
const result = {
  kind: "upgrade",
  outcome: "committed",
  from: "1.0.0",
  to: "2.0.0",
  phases: { boot: 3000.26, takeover: 4 },
} as StoryResult;
const dormant = { seconds: 10, cpuNs: 0, residentBytes: 200 * 1024 ** 2 };
const good: DemoReport = { upgrades: [upgradeReport(result, window, window)], dormant };

function changed(upgrade: Partial<DemoReport["upgrades"][number]>): DemoReport {
  return { ...good, upgrades: good.upgrades.map((one) => ({ ...one, ...upgrade })) };
}

test("an upgrade is told by exactly these keys", () => {
  assert.deepEqual(good.upgrades[0], {
    from: "1.0.0",
    to: "2.0.0",
    outcome: "committed",
    phases: { boot: 3000.3, takeover: 4 },
    requests: 1000,
    failed: 0,
    resets: 0,
    deadlineResets: 0,
    longestGapMs: 24.1,
    baselineLongestGapMs: 24.1,
    p99Ms: 5.1,
    baselineP99Ms: 5.1,
  });
});

test("nothing is complained of when all is as intended", () => {
  assert.deepEqual(complaints(good, ["committed"]), []);
});

for (const [what, report, words] of [
  ["another outcome", changed({ outcome: "rolled-back" }), /to be committed, and is rolled-back/],
  ["a failed request", changed({ failed: 1 }), /1 requests failed/],
  ["a reset", changed({ resets: 2 }), /2 requests were reset/],
  ["a reset at the deadline", changed({ deadlineResets: 3 }), /3 requests were reset/],
  ["no load", changed({ requests: 0 }), /no requests were made/],
  ["an upgrade that is missing", { ...good, upgrades: [] }, /is missing/],
  ["a dormant board that runs", { ...good, dormant: { ...dormant, cpuNs: 7 } }, /used 7 ns/],
] as const) {
  test(`${what} is complained of`, () => {
    const found = complaints(report, ["committed"]);
    assert.equal(found.length, 1);
    assert.match(found[0] ?? "", words);
  });
}

test("the tables have a row an upgrade, and a dash for a phase that was not reached", () => {
  assert.equal(tableRows(good.upgrades).length, 2);
  assert.deepEqual(phaseRows(good.upgrades, ["boot", "commit"])[1], ["1.0.0 → 2.0.0", "3000.3", "–"]);
});
