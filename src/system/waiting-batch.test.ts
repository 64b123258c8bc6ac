import assert from "node:assert/strict";
import { test } from "node:test";
import { WaitingBatch } from "./waiting-batch.ts";

const limit = (): AbortSignal => AbortSignal.timeout(10_000);

for (const program of ["ip", "tc"] as const)
  test(`${program} carries out its lines, waits for more, and does not wait meanwhile`, async () => {
    const waiting = new WaitingBatch(program, "lo");
    for (const _ of [1, 2]) {
      assert.equal(waiting.waits, true);
      const done = waiting.run([], limit());
      assert.equal(waiting.waits, false);
      await done;
    }
    assert.equal(waiting.waits, true);
    waiting.end();
  });

test("what the program says to a line that fails is the error, and then it waits no more", async () => {
  for (const [program, line] of [
    ["ip", "link show dev none"],
    ["tc", "qdisc replace dev none root noqueue"],
  ] as const) {
    const waiting = new WaitingBatch(program, "lo");
    await assert.rejects(waiting.run([line], limit()), { code: "command-failed", message: /none/ });
    assert.equal(waiting.waits, false);
  }
});

test("one that is not needed ends, and does not wait any more; whoever has had enough does not wait for it", async () => {
  const waiting = new WaitingBatch("ip", "lo");
  for (const _ of [1, 2]) waiting.end();
  assert.equal(waiting.waits, false);
  const enough = AbortSignal.abort(new Error("enough"));
  await assert.rejects(new WaitingBatch("ip", "lo").run([], enough), /enough/);
});
