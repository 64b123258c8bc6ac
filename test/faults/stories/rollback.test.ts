/** A rollback that somebody asks for: the dormant board is woken, verified, and takes the service over again. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { simulatedDrain } from "../../../src/service/simulated.ts";
import { at, serving, servingWithoutFailover } from "../../fixtures/simulation/scenes.ts";

test("a rollback wakes the dormant board, and the other goes dormant; and back again", async () => {
  const { host, system } = await serving("1", "2");
  const started = host.boards.started.length;
  const result = await host.rollback(system);
  assert.deepEqual([result.outcome, result.from, result.to], ["committed", "2", "1"]);
  assert.equal(await host.summary(system), "a: in service 1, b: dormant 2");
  assert.equal(host.state.primary, "a");
  assert.equal((await host.rollback(system)).outcome, "committed");
  assert.equal(await host.summary(system), "a: dormant 1, b: in service 2");
  assert.equal(host.boards.started.length, started, "nothing was booted");
});

test("a rollback serves no probation, but drains", async () => {
  const { host, system } = await serving("1", "2");
  host.service.begin(2);
  const began = host.clock.now();
  void host.clock.sleep(3000).then(() => host.service.finish("b", 2));
  const result = await host.rollback(system);
  assert.deepEqual(result.drain, { ...simulatedDrain({ finished: 2 }), ms: 0, remarks: [] });
  assert.equal(host.clock.now() - began, 3000);
});

test("a rollback is no downgrade: the floor stays, and with it what is refused", async () => {
  const { host, system } = await serving("1", "2");
  await host.rollback(system);
  assert.equal(host.state.floor, "2");
  assert.equal((await host.upgrade(system, "1")).error?.code, "bundle-below-floor");
  assert.equal((await host.upgrade(system, "2")).outcome, "committed");
});

test("a rollback after a reboot, without failover, boots the board, which is not asleep any more", async () => {
  const { host, system } = await servingWithoutFailover("1", "2");
  await system.close();
  host.reboot();
  const next = host.daemon();
  await host.settle(next);
  assert.equal(await host.summary(next), "a: off 1, b: in service 2");
  assert.equal((await host.rollback(next)).outcome, "committed");
  assert.equal(await host.summary(next), "a: in service 1, b: dormant 2");
});

test("nothing to roll back to: nobody serves, one slot was never written, the other is bad", async () => {
  const refused = { code: "nothing-to-roll-back-to" };
  const { host, system } = await serving();
  await assert.rejects(system.rollback(), refused);
  await host.upgrade(system, "1");
  await assert.rejects(system.rollback(), refused);
  host.boards.faults.set("2", { reports: "7" });
  assert.equal((await host.upgrade(system, "2")).outcome, "failed");
  await assert.rejects(system.rollback(), refused);
  assert.equal((await host.upgrade(system, "3")).outcome, "committed", "a refusal leaves nothing behind");
});

test("a rollback whose verification fails: the woken board is dormant again, and uses no processor time from then on", async () => {
  const { host, system } = await serving("1", "2");
  host.health.setUnhealthy("a");
  const result = await host.rollback(system);
  assert.deepEqual([result.outcome, result.error?.code], ["failed", "board-unhealthy"]);
  assert.equal(await host.summary(system), "a: dormant 1, b: in service 2");
  const { a } = (await system.status()).boards;
  assert.equal(a.dormantCpuNs, 0, "the time of being awake does not count");
  assert.equal(a.slot, "good");
  assert.deepEqual(host.state.failedVersions, []);
  host.health.setHealthy("a");
  assert.equal((await host.rollback(system)).outcome, "committed");
});

test("a rollback whose board cannot be woken changes nothing", async () => {
  const { host, system } = await serving("1", "2");
  host.boards.failing.add("a.resume");
  const result = await host.rollback(system);
  assert.deepEqual([result.outcome, result.error?.code], ["failed", "board-resume-failed"]);
  assert.equal(await host.summary(system), "a: dormant 1, b: in service 2");
});

test("a rollback whose board dies as it takes over: the service is back where it was", async () => {
  const { host, system } = await serving("1", "2");
  at(host, { phase: "takeover", event: "phase-done" }, () => host.boards.die("a"));
  const result = await host.rollback(system);
  assert.deepEqual([result.outcome, result.error?.code], ["rolled-back", "board-died"]);
  assert.match(await host.summary(system), /b: in service 2/);
  assert.equal((await system.status()).stuck, null);
});

test("a board in service that is dead is no hindrance to a rollback, without failover", async () => {
  const { host, system } = await servingWithoutFailover("1", "2");
  host.service.begin(2);
  host.boards.die("b");
  assert.equal((await system.status()).stuck?.code, "board-died");
  const result = await host.rollback(system);
  assert.equal(result.outcome, "committed");
  assert.deepEqual(result.drain, { ...simulatedDrain({ cut: 2 }), ms: 0, remarks: [] });
  assert.equal(await host.summary(system), "a: in service 1, b: dead 2");
  assert.equal((await system.status()).stuck, null);
});

test("the daemon ends in a rollback, and the board in service dies: what a failover did meanwhile is not done again", async () => {
  const { host, system } = await serving("1", "2");
  at(host, { phase: "boot" }, () => void system.close());
  await host.clock.runUntil(system.rollback());
  await host.clock.runUntil(system.idle());
  host.boards.die("b");
  const next = host.daemon();
  await host.settle(next);
  assert.equal(await host.summary(next), "a: in service 1, b: dormant 2");
  assert.deepEqual(host.boards.started.length, 3, "only the board that died was booted");
  assert.equal(host.boards.priorities.get("a"), "service");
});
