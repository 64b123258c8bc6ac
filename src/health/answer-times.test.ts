import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Clock } from "../system/clock.ts";
import { AnswerTimes, maxSeriesPoints } from "./answer-times.ts";

test("a series is bounded, in order, and keeps the slowest; counts are exact", () => {
  const answer = fc.record({
    ms: fc.nat({ max: 5000 }),
    failed: fc.boolean(),
    check: fc.constantFrom("web", "db"),
  });
  fc.assert(
    fc.property(fc.array(answer, { maxLength: 3000, size: "max" }), (answers) => {
      let now = 1_000_000;
      const times = new AnswerTimes({ now: () => now } as Clock);
      for (const { ms, failed, check } of answers) {
        now += 200;
        times.add({ check, ms, ...(failed ? { reason: "no" } : {}) });
      }
      for (const { name, asked, failed, slowestMs, points, failedAfterMs, since } of times.series()) {
        const ofCheck = answers.filter(({ check }) => check === name);
        const passed = ofCheck.filter((one) => !one.failed).map(({ ms }) => ms);
        const slowest = passed.length === 0 ? null : Math.max(...passed);
        assert.deepEqual(
          [asked, failed, slowestMs, since],
          [ofCheck.length, ofCheck.length - passed.length, slowest, 1_000_000],
        );
        assert.ok(points.length <= maxSeriesPoints && failedAfterMs.length <= maxSeriesPoints);
        if (slowest !== null) assert.ok(points.some(([, ms]) => ms === slowest));
      }
    }),
    { numRuns: 50 },
  );
});

test("a day of answers, and many checks, stay small enough for a record", () => {
  let now = 0;
  const times = new AnswerTimes({ now: () => now } as Clock);
  for (let round = 0; round < 20_000; round += 1) {
    now += 200;
    for (let check = 0; check < 32; check += 1)
      times.add({ check: `check ${check}`, ms: Math.random() * 100 });
  }
  assert.ok(JSON.stringify(times.series()).length < 100_000);
});
