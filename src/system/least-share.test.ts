import assert from "node:assert/strict";
import { test } from "node:test";
import { LeastShare } from "./least-share.ts";

const second = 1e9;
/** Looks each two seconds at threads that ran and waited so long meanwhile, in seconds. */
function looks(
  threads: number,
  rounds: readonly (readonly [run: number, wait: number])[],
): (number | null)[] {
  const share = new LeastShare(threads);
  let [runNs, waitNs, atMs, percent] = [5 * second, 0, 1000, 0];
  share.look({ runNs, waitNs, atMs }, percent);
  return rounds.map(([run, wait]) => {
    runNs += run * second;
    waitNs += wait * second;
    atMs += 2000;
    const raised = share.look({ runNs, waitNs, atMs }, percent);
    percent = raised ?? percent;
    return raised ?? null;
  });
}

test("a board that starves is raised step by step up to an equal share, and no further", () => {
  const starving = [0.01, 1.99] as const;
  assert.deepEqual(looks(1, [starving, starving, starving, starving]), [10, 33, 100, null]);
  // As soon as it gets its half, it is left where it is.
  assert.deepEqual(looks(1, [starving, [1, 1], [1, 1]]), [10, null, null]);
});

test("nobody is raised who has little to do, or waits for threads of its own alone", () => {
  assert.deepEqual(looks(1, [[0.01, 0.1]]), [null]);
  assert.deepEqual(looks(1, [[0, 0]]), [null]);
  assert.deepEqual(looks(2, [[2, 2]]), [null]);
  assert.deepEqual(looks(4, [[2, 6]]), [null]);
  assert.deepEqual(looks(2, [[0.1, 3.9]]), [10]);
});

test("the first look after another start decides nothing, and threads that have ended make no progress", () => {
  const share = new LeastShare(1);
  assert.equal(share.look({ runNs: 0, waitNs: 9 * second, atMs: 0 }, 0), undefined);
  share.forget();
  assert.equal(share.look({ runNs: 0, waitNs: 20 * second, atMs: 2000 }, 0), undefined);
  assert.equal(share.look({ runNs: -second, waitNs: 22 * second, atMs: 4000 }, 0), 10);
});
