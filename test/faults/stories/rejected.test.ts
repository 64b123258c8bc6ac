/** Bundles that are refused: nothing has changed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type ErrorCode, errorTable } from "../../../src/errors.ts";
import { SimulatedSlot } from "../../../src/slot/simulated.ts";
import { assertUntouched, reach, type Serving, serving, told } from "../../fixtures/simulation/scenes.ts";

const refusals = (Object.keys(errorTable) as ErrorCode[]).filter(
  (code) => code.startsWith("bundle-") && errorTable[code].kind === "rejected",
);

/** Offers version 3 and expects that it is refused and that boards, slots and `system.json` are what they were. */
async function assertRefused({ host, system }: Serving, code: ErrorCode): Promise<void> {
  const before = { state: host.state, summary: await host.summary(system), slots: { ...host.slots } };
  const contents = [host.slots.a.content, host.slots.b.content];
  const changes = host.service.changes.length;
  const started = host.boards.started.length;
  const result = await host.upgrade(system, "3");
  assert.equal(result.outcome, "rejected");
  assert.equal(result.error?.code, code);
  assert.equal(result.error?.phase, "deliver");
  assert.deepEqual(host.state, before.state);
  assert.equal(await host.summary(system), before.summary);
  assert.deepEqual([host.slots.a.content, host.slots.b.content], contents);
  assert.equal(host.boards.started.length, started);
  assert.equal(host.delivery.delivered, undefined);
  assert.deepEqual(told(host, result.id), [
    "story-began",
    "deliver phase-began",
    "deliver phase-failed",
    "deliver undo-began",
    "deliver undo-done",
    "story-ended",
  ]);
  assertUntouched(host, changes);
}

test("a bundle that is refused changes nothing, whatever the reason", async () => {
  assert.ok(refusals.length > 8);
  const { host, system } = await serving("1", "2");
  for (const code of refusals) {
    host.delivery.bundles.set("/simulated/3.raucb", code);
    await assertRefused({ host, system }, code);
  }
  host.offer("3");
  assert.equal((await host.upgrade(system, "3")).outcome, "committed");
});

test("a bundle that is larger than the slot is refused before the dormant board is given up", async () => {
  const { host, system: first } = await serving("1", "2");
  await first.close();
  host.slots.a = new SimulatedSlot("a", 1999);
  const system = host.daemon();
  await host.settle(system);
  await assertRefused({ host, system }, "bundle-too-large");
  assert.equal((await host.rollback(system)).outcome, "committed", "the warm way back is still there");
});

test("a bundle that streams cannot be repeated after a crash of the daemon, and is refused", async () => {
  const { host, system } = await serving("1");
  host.delivery.hangs = true;
  const stream = (async function* () {
    yield new Uint8Array(1);
  })();
  const id = await reach(host, "deliver", () => system.upgrade({ kind: "stream", stream }, { force: false }));
  await system.close();
  host.delivery.hangs = false;
  const next = host.daemon();
  await host.settle(next);
  const result = await next.result(id);
  assert.equal(result?.outcome, "rejected");
  assert.equal(result?.error?.code, "bundle-unreadable");
  assert.match(result.error.message, /the stream ended with the daemon that received it/);
  assert.equal(await host.summary(next), "a: in service 1, b: off -");
});
