import assert from "node:assert/strict";
import { test } from "node:test";
import { nextShare } from "./least-share.ts";

/** What a board with `rivals` threads is given that ran and waited so long in a stretch of two seconds. */
function given(run: number, wait: number, percent = 0, rivals = 1): number | undefined {
  return nextShare({ runNs: run * 1e9, waitNs: wait * 1e9, passedNs: 2e9 }, percent, rivals);
}

test("a board that starves is raised in two steps, and no further; one with a full share is not", () => {
  assert.equal(given(0.01, 1.99, 0), 33);
  assert.equal(given(0.5, 1.5, 33), 125);
  assert.equal(given(0.01, 1.99, 125), undefined);
  // As soon as it gets its half, it is left where it is.
  assert.equal(given(1, 1, 33), undefined);
});

test("nobody is raised who has little to do, or waits for threads of its own alone", () => {
  assert.equal(given(0.01, 0.1), undefined);
  assert.equal(given(0, 0), undefined);
  const moment = { runNs: 0, waitNs: 10e6, passedNs: 10e6 };
  assert.equal(nextShare(moment, 0, 1), undefined, "two looks that come close after each other");
  assert.equal(given(2, 2, 0, 2), undefined);
  assert.equal(given(2, 6, 0, 4), undefined);
  assert.equal(given(0.1, 3.9, 0, 2), 33);
});
