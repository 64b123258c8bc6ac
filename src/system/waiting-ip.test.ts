import assert from "node:assert/strict";
import { test } from "node:test";
import { WaitingIp } from "./waiting-ip.ts";

const limit = (): AbortSignal => AbortSignal.timeout(10_000);

test("it carries out its lines once, and no longer waits", async () => {
  const waiting = new WaitingIp();
  assert.equal(waiting.waits, true);
  const done = waiting.run([], limit());
  assert.equal(waiting.waits, false);
  await done;
});

test("what ip says to a line that fails is the error", async () => {
  await assert.rejects(new WaitingIp().run(["link show dev none"], limit()), {
    code: "command-failed",
    message: /none/,
  });
});

test("one that is not needed ends, and does not wait any more; whoever has had enough does not wait for it", async () => {
  const waiting = new WaitingIp();
  for (const _ of [1, 2]) waiting.end();
  assert.equal(waiting.waits, false);
  const enough = AbortSignal.abort(new Error("enough"));
  await assert.rejects(new WaitingIp().run([], enough), /enough/);
});
