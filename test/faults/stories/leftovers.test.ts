/** What an earlier daemon or story left behind: transactions that come late, boards that could not be paused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedService } from "../../../src/service/simulated.ts";
import { at, ended, serving, servingWithoutFailover } from "../../fixtures/simulation/scenes.ts";

test("a transaction of the daemon before, which comes late, fails whole", async () => {
  const { host, system } = await serving("1");
  await system.close();
  const late = new SimulatedService(host.service);
  const signal = AbortSignal.timeout(60_000);
  await late.prepare("b", signal);
  const next = host.daemon();
  await host.settle(next);
  await assert.rejects(late.handOver("b", signal), { code: "stale-epoch" });
  assert.equal(await host.summary(next), "a: in service 1, b: off -");
});

test("an old board that cannot be paused: the upgrade is committed, a person is told, and the next daemon tries again", async () => {
  const { host, system } = await serving("1");
  host.boards.failing.add("a.pause");
  const result = await host.upgrade(system, "2");
  assert.deepEqual([result.outcome, result.error?.phase], ["stuck", "commit"]);
  assert.equal(await host.summary(system), "a: standby 1, b: in service 2");
  assert.equal(host.state.primary, "b");
  assert.ok((await system.status()).stuck !== null);
  await system.close();
  host.boards.failing.clear();
  const next = host.daemon();
  await host.settle(next);
  assert.equal(await host.summary(next), "a: dormant 1, b: in service 2");
});

test("an old board that could not be paused is stopped before it is booted again", async () => {
  const { host, system } = await serving("1");
  host.boards.failing.add("a.pause");
  await host.upgrade(system, "2");
  host.boards.failing.clear();
  assert.equal((await host.rollback(system)).outcome, "committed");
  assert.equal(await host.summary(system), "a: in service 1, b: dormant 2");
  assert.equal((await system.status()).stuck, null);
});

test("a board that died while it held, and a primary that comes back on the other: its clients learn at once", async () => {
  const { host, system } = await servingWithoutFailover("1");
  at(host, { phase: "probation", noted: "drain" }, () => {
    host.boards.die("a");
    host.health.setUnhealthy("b");
  });
  assert.equal((await host.upgrade(system, "3")).error?.code, "take-back-failed");
  host.service.begin(3);
  await system.close();
  host.boards.die("b");
  const next = host.daemon();
  await host.settle(next);
  assert.match(await host.summary(next), /a: in service 1/);
  assert.equal((await next.status()).draining, null);
  assert.deepEqual([host.service.lost, host.service.cut], [0, 3]);
});

test("an old board that is dead when it should be paused is no trouble", async () => {
  const { host, system } = await serving("1");
  host.onRecord = (record) => {
    if (record.phase === "commit" && record.kind === "upgrade") host.boards.die("a");
  };
  assert.equal((await host.upgrade(system, "2")).outcome, "committed");
  assert.equal(await host.summary(system), "a: dormant 1, b: in service 2", "it was booted again");
  assert.equal((await system.status()).stuck, null);
});

test("a take-back whose drain fails leaves a board draining: what it had begun ends before it is laid to sleep", async () => {
  const { host, system } = await serving("1", "2");
  at(host, { phase: "probation" }, () => {
    host.service.begin(3);
    host.service.failing.add("drain");
  });
  const held = host.onRecord;
  host.onRecord = (record) => {
    held?.(record);
    if (record.event === "story-ended") host.service.failing.delete("drain");
  };
  const result = await host.upgrade(system, "3");
  assert.deepEqual([result.outcome, result.error?.code], ["stuck", "command-failed"]);
  await ended({ host, system });
  assert.equal(await host.summary(system), "a: dormant 3, b: in service 2");
  assert.deepEqual([host.service.lost, host.service.cut], [0, 3]);
});
