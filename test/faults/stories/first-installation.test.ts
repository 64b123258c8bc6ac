/** The first installation: nobody to relieve, and nobody to give the service back to. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { at, serving, servingWithoutFailover, told } from "../../fixtures/simulation/scenes.ts";

test("a first installation serves, and goes through every phase", async () => {
  const { host, system } = await serving();
  assert.equal(await host.summary(system), "a: off -, b: off -");
  const result = await host.upgrade(system, "1");
  assert.equal(result.outcome, "committed");
  assert.equal(result.from, null);
  assert.equal(result.to, "1");
  assert.equal(await host.summary(system), "a: in service 1, b: off -");
  assert.deepEqual(host.state.slots.a?.mark, "good");
  assert.equal(host.state.primary, "a");
  assert.equal(host.state.floor, "1");
  const phases = ["deliver", "vacate", "install", "boot", "verify", "takeover", "probation", "commit"];
  assert.deepEqual(told(host, result.id), [
    "story-began",
    ...phases.flatMap((phase) => [`${phase} phase-began`, `${phase} phase-done`]),
    "story-ended",
  ]);
  assert.deepEqual(Object.keys(result.phases), phases);
});

test("one whose probation fails keeps serving, says so, and serves again after a reboot", async () => {
  const { host, system } = await serving();
  at(host, { phase: "probation" }, () => host.health.setUnhealthy("a"));
  const result = await host.upgrade(system, "1");
  assert.equal(result.outcome, "stuck");
  assert.equal(result.error?.code, "take-back-failed");
  const status = await system.status();
  assert.equal(status.holder, "a");
  assert.equal(status.primary, "a");
  assert.equal(status.boards.a.role, "in service");
  assert.equal(status.boards.a.slot, "unknown");
  assert.equal(status.stuck?.code, "take-back-failed");
  await system.close();

  host.health.setHealthy("a");
  host.reboot();
  const next = host.daemon();
  await host.settle(next);
  assert.equal(await host.summary(next), "a: in service 1, b: off -");
  assert.equal((await next.status()).boards.a.slot, "unknown", "coming back proves nothing new");

  const second = await host.upgrade(next, "2");
  assert.equal(second.outcome, "committed");
  assert.equal(await host.summary(next), "a: dormant 1, b: in service 2");
});

test("one that is stuck stays so until something better is installed", async () => {
  const { host, system } = await serving();
  at(host, { phase: "probation" }, () => host.health.setUnhealthy("a"));
  await host.upgrade(system, "1");
  const { outcome } = await host.upgrade(system, "9");
  assert.equal(outcome, "rejected", "there is no such bundle");
  assert.equal((await system.status()).stuck?.code, "take-back-failed", "a refusal mends nothing");
  await system.close();

  const next = host.daemon();
  await host.settle(next);
  assert.equal((await next.status()).stuck?.code, "take-back-failed", "nor does a new daemon");
  assert.equal((await host.upgrade(next, "2")).outcome, "committed");
  assert.equal((await next.status()).stuck, null);
});

test("one whose board dies in probation, without failover: no board works, and the next is installed", async () => {
  const { host, system } = await servingWithoutFailover();
  at(host, { phase: "probation" }, () => host.boards.die("a"));
  const result = await host.upgrade(system, "1");
  assert.equal(result.outcome, "stuck");
  assert.equal(result.error?.code, "no-board-works");
  assert.equal((await system.status()).stuck?.code, "board-died");
  assert.equal((await host.upgrade(system, "2")).outcome, "committed");
  const { holder } = await system.status();
  assert.ok(holder !== null);
  assert.equal(host.boards.get(holder)?.start.version, "2");
});

test("one that fails before its takeover leaves nothing", async () => {
  const { host, system } = await serving();
  host.boards.faults.set("1", { reports: "7" });
  const result = await host.upgrade(system, "1");
  assert.equal(result.outcome, "failed");
  assert.equal(await host.summary(system), "a: off -, b: off -");
  assert.equal(host.state.primary, null);
  assert.equal(host.state.slots.a?.mark, "bad");
  assert.equal((await host.upgrade(system, "2")).outcome, "committed");
  assert.equal(await host.summary(system), "a: in service 2, b: off -");
});
