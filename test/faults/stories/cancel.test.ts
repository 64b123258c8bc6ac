/** A story that is cancelled is undone cleanly in every phase before its commit, and not at all from there on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type PhaseName, phaseNames } from "../../../src/upgrade/record.ts";
import { at, reach, type Serving, serving, toVersion, turns } from "../../fixtures/simulation/scenes.ts";

const undoable = phaseNames.filter((name) => name !== "commit");

async function assertUndone({ host, system }: Serving, phase: PhaseName): Promise<void> {
  await host.clock.runUntil(system.idle());
  const { lastStory: result, stuck } = await system.status();
  const taken = phase === "probation";
  assert.equal(result?.outcome, phase === "deliver" ? "rejected" : taken ? "rolled-back" : "failed");
  assert.equal(result.error?.code, "cancelled");
  assert.equal(stuck, null);
  // A cancel that comes before the dormant board is stopped leaves it dormant.
  const old = phase === "deliver" || phase === "vacate" ? "a: dormant 1" : "a: off -";
  assert.equal(await host.summary(system), `${old}, b: in service 2`);
  assert.equal(host.service.leased, null);
  assert.deepEqual(host.state.failedVersions, []);
  assert.equal(host.service.lost + host.service.cut, 0, "what the old board had begun goes on");
  host.service.finish("b");
  assert.equal((await host.upgrade(system, "3")).outcome, "committed");
}

for (const phase of undoable) {
  test(`cancelled as ${phase} begins`, async () => {
    const { host, system } = await serving("1", "2");
    at(host, { phase }, () => void system.cancel());
    await host.upgrade(system, "3");
    await assertUndone({ host, system }, phase);
  });

  test(`cancelled between ${phase} and the next phase`, async () => {
    const { host, system } = await serving("1", "2");
    const refused = Promise.withResolvers<unknown>();
    at(
      host,
      { phase, event: "phase-done" },
      () => void system.cancel().then(refused.resolve, refused.resolve),
    );
    const { outcome, error } = await host.upgrade(system, "3");
    const refusal = await refused.promise;
    if (refusal === undefined) {
      assert.deepEqual([error?.code, error?.phase], ["cancelled", phase], "the next phase was never entered");
      assert.equal((await system.status()).stuck, null);
      assert.equal(outcome === "rolled-back", phase === "takeover" || phase === "probation");
      assert.equal((await system.status()).boards.b.role, "in service");
    } else {
      assert.equal(phase, "probation", "only the last phase before the commit is too late");
      assert.equal(outcome, "committed");
    }
  });
}

const hangs: readonly (readonly [PhaseName, (serving: Serving) => void])[] = [
  ["deliver", ({ host }) => void (host.delivery.hangs = true)],
  ["vacate", ({ host }) => void host.boards.hanging.add("a.stop")],
  ["install", ({ host }) => void (host.slots.a.fault = { kind: "hang", atByte: 1000 })],
  ["boot", ({ host }) => void host.boards.hanging.add("a.start")],
  ["verify", ({ host }) => void host.boards.hanging.add("a.ready")],
  ["takeover", ({ host }) => void host.service.hanging.add("handOver")],
  ["probation", ({ host }) => host.service.begin()],
];

for (const [phase, hang] of hangs) {
  test(`cancelled while ${phase} waits for something that does not come`, async () => {
    const { host, system } = await serving("1", "2");
    hang({ host, system });
    await reach(host, phase, toVersion(system, "3"));
    await system.cancel();
    host.boards.hanging.clear();
    host.service.hanging.clear();
    host.slots.a.fault = undefined;
    host.delivery.hangs = false;
    await assertUndone({ host, system }, phase);
  });
}

test("too late: in the commit, while it is being undone, and while the primary comes back", async () => {
  const { host, system } = await serving("1");
  const refusals: unknown[] = [];
  const tooLate = (): void => void system.cancel().catch((error: unknown) => refusals.push(error));
  at(host, { phase: "commit" }, tooLate);
  assert.equal((await host.upgrade(system, "2")).outcome, "committed");
  await turns();
  assert.equal((refusals[0] as { code: string }).code, "too-late-to-cancel");

  at(host, { phase: "verify", event: "undo-began" }, tooLate);
  host.health.setUnhealthy("a");
  assert.equal((await host.upgrade(system, "3")).error?.code, "board-unhealthy");
  assert.equal((refusals[1] as { code: string }).code, "too-late-to-cancel");
  await system.close();

  host.reboot();
  const next = host.daemon();
  at(host, { phase: "verify" }, () => void next.cancel().catch((error: unknown) => refusals.push(error)));
  await host.settle(next);
  assert.equal((refusals[2] as { code: string }).code, "too-late-to-cancel");
  assert.match(await host.summary(next), /b: in service 2/);
});

test("nothing to cancel when nothing is under way", async () => {
  const { system } = await serving("1");
  await assert.rejects(system.cancel(), { code: "nothing-to-cancel" });
});

test("a rollback is cancelled too: the board that was woken is dormant again", async () => {
  const { host, system } = await serving("1", "2");
  at(host, { phase: "verify" }, () => void system.cancel());
  assert.equal((await host.rollback(system)).outcome, "failed");
  assert.equal(await host.summary(system), "a: dormant 1, b: in service 2");
});
