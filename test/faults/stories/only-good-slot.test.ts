/** Software serves that never finished its probation, and the good slot is the other one: an upgrade would overwrite it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ended, type Serving, servingUnproven } from "../../fixtures/simulation/scenes.ts";

/** The daemon that follows looks after a standby. */
async function servingUnprovenWithFailover(): Promise<Serving> {
  const { host, system } = await servingUnproven();
  await system.close();
  host.settings = { ...host.settings, failover: true };
  const next = host.daemon();
  await host.settle(next);
  return { host, system: next };
}

test("it is refused, and leaves the standby alone that boots meanwhile", async () => {
  const { host, system } = await servingUnprovenWithFailover();
  host.boards.hanging.add("a.ready");
  host.boards.kill("a");
  await host.clock.runUntil(host.clock.sleep(3000));
  const before = (await system.status()).story;
  assert.equal(before?.kind, "standby");
  await assert.rejects(host.upgrade(system, "3"), {
    code: "only-good-slot",
    message: /slot a is good, slot b is unknown/,
  });
  const after = (await system.status()).story;
  assert.deepEqual([after?.kind, after?.id], ["standby", before?.id]);
});

test("the service goes back to the good slot first; then the upgrade is taken", async () => {
  const { host, system } = await servingUnprovenWithFailover();
  await ended({ host, system });
  assert.match(await host.summary(system), /a: dormant 1, b: in service 2/);
  await assert.rejects(host.upgrade(system, "3"), { code: "only-good-slot" });
  assert.equal((await host.rollback(system)).outcome, "committed");
  assert.equal((await host.upgrade(system, "3")).outcome, "committed");
  assert.match(await host.summary(system), /a: dormant 1, b: in service 3/);
});
