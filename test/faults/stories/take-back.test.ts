/** What goes wrong after the service has moved: it is taken back, or, if that cannot be done, kept by whichever board answers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ErrorCode } from "../../../src/errors.ts";
import { simulatedDrain } from "../../../src/service/simulated.ts";
import {
  at,
  reach,
  type Serving,
  serving,
  servingUnproven,
  servingWithoutFailover,
  toVersion,
} from "../../fixtures/simulation/scenes.ts";

async function assertTakenBack({ host, system }: Serving, code: ErrorCode): Promise<void> {
  const result = await host.upgrade(system, "2");
  assert.equal(result.outcome, "rolled-back");
  assert.equal(result.error?.code, code);
  assert.deepEqual(
    host.service.changes.map(({ from, to }) => `${from} ${to}`),
    ["null a", "a b", "b a"],
  );
  assert.equal(await host.summary(system), "a: in service 1, b: off -");
  assert.equal(host.state.primary, "a");
  assert.equal(host.state.slots.a?.mark, "good");
  assert.equal(host.state.slots.b?.mark, "bad");
  assert.equal(host.state.floor, "1");
  assert.equal(host.service.lost, 0, "no flow ended in silence");
  const { stuck, draining } = await system.status();
  assert.deepEqual([stuck, draining], [null, null]);
  assert.equal(host.boards.priorities.get("a"), "service");
}

test("a board that dies in probation: the old one has the service back at once, the dead one's flows are cut", async () => {
  const { host, system } = await serving("1");
  at(host, { phase: "probation", noted: "drain" }, () => {
    host.service.begin(4);
    host.boards.die("b");
  });
  await assertTakenBack({ host, system }, "board-died");
  assert.equal(host.service.cut, 4);
  assert.deepEqual(host.state.failedVersions, ["2"]);
});

test("a board that hangs in probation, and whose checks pass all the same", async () => {
  const { host, system } = await serving("1");
  at(host, { phase: "probation" }, () => setImmediate(() => host.boards.hang("b")));
  await assertTakenBack({ host, system }, "board-hung");
});

test("a board that turns unhealthy in probation finishes what it began", async () => {
  const { host, system } = await serving("1");
  at(host, { phase: "probation", noted: "drain" }, () => {
    host.service.begin(4);
    host.health.setUnhealthy("b");
    void host.clock.sleep(5000).then(() => host.service.finish("b", 4));
  });
  await assertTakenBack({ host, system }, "board-unhealthy");
  assert.equal(host.service.cut, 0);
});

test("a board that turns unhealthy and dies while it drains: its flows are cut at once", async () => {
  const { host, system } = await serving("1");
  at(host, { phase: "probation", noted: "drain" }, () => {
    host.service.begin(4);
    host.health.setUnhealthy("b");
    void host.clock.sleep(5000).then(() => host.boards.die("b"));
  });
  await assertTakenBack({ host, system }, "board-unhealthy");
  assert.equal(host.service.cut, 4);
});

test("taken back while the old board still drains: nothing of it is cut", async () => {
  const { host, system } = await serving("1");
  host.service.begin(3);
  at(host, { phase: "probation", noted: "servedMs" }, () => host.boards.die("b"));
  await assertTakenBack({ host, system }, "board-died");
  assert.equal(host.service.flows.a, 3);
  assert.equal(host.service.cut, 0);
});

test("a hook `activate` that fails after the transaction is a failed takeover", async () => {
  const { host, system } = await serving("1");
  host.boards.faults.set("2", { failingHook: "activate" });
  await assertTakenBack({ host, system }, "hook-failed");
});

test("a takeover whose answer is lost is taken back", async () => {
  const { host, system } = await serving("1");
  host.service.failingAfter.add("handOver");
  at(host, { phase: "takeover", event: "undo-began" }, () => host.service.failingAfter.clear());
  await assertTakenBack({ host, system }, "takeover-failed");
});

test("the old board gets its hook `activate` when the service comes back", async () => {
  const { host, system } = await serving("1");
  at(host, { phase: "probation" }, () => host.boards.die("b"));
  const before = host.boards.hookRuns.length;
  await assertTakenBack({ host, system }, "board-died");
  assert.deepEqual(host.boards.hookRuns.slice(before), ["b activate", "a activate"]);
});

test("an old board whose `activate` fails on the way back serves all the same: it is noted, and the new one is drained and fenced", async () => {
  const { host, system } = await serving("1");
  at(host, { phase: "probation", noted: "drain" }, () => {
    host.service.begin(2);
    host.boards.faults.set("1", { failingHook: "activate" });
    host.boards.die("b");
  });
  const result = await host.upgrade(system, "2");
  assert.equal(result.outcome, "rolled-back");
  const failed = host.records.find(({ data }) => typeof data["activateFailed"] === "string");
  assert.match(String(failed?.data["activateFailed"]), /a hook of the board failed/);
  const { holder, draining } = await system.status();
  assert.deepEqual([holder, draining], ["a", null]);
  assert.deepEqual([host.service.lost, host.service.cut], [0, 2]);
});

test("the OLD board dies while it drains: its flows are cut at once and the upgrade goes on", async () => {
  const { host, system } = await serving("1");
  host.service.begin(3);
  at(host, { phase: "probation", noted: "servedMs" }, () => host.boards.die("a"));
  const began = host.clock.now();
  const result = await host.upgrade(system, "2");
  assert.equal(result.outcome, "committed");
  assert.deepEqual(result.drain, { ...simulatedDrain({ cut: 3 }), ms: 0, remarks: [] });
  assert.equal(host.clock.now() - began, host.settings.probationMs, "nobody waited for the dead");
  assert.equal(host.service.lost, 0);
  assert.equal(
    await host.summary(system),
    "a: dormant 1, b: in service 2",
    "it was booted again as a standby",
  );
});

test("a take-back that fails some times and then works is only late", async () => {
  const { host, system } = await serving("1");
  at(host, { phase: "probation" }, () => {
    host.health.setUnhealthy("b");
    host.service.failing.add("handOver");
    void host.clock.sleep(5000).then(() => host.service.failing.clear());
  });
  const began = host.clock.now();
  await assertTakenBack({ host, system }, "board-unhealthy");
  assert.equal(host.clock.now() - began, 5000);
});

test("a take-back that cannot be done, without failover: the new board keeps the service and runs on, and a person is needed", async () => {
  const { host, system } = await servingWithoutFailover("1");
  at(host, { phase: "probation", noted: "drain" }, () => {
    host.boards.die("a");
    host.health.setUnhealthy("b");
  });
  const result = await host.upgrade(system, "2");
  assert.equal(result.outcome, "stuck");
  assert.equal(result.error?.code, "take-back-failed");
  assert.equal(await host.summary(system), "a: dead 1, b: in service 2");
  assert.equal((await system.status()).stuck?.code, "take-back-failed");
  assert.equal(host.state.slots.b?.mark, "unknown");
});

test("a take-back that cannot be done: clients of the old board, which is dead, learn at once", async () => {
  const { host, system } = await serving("1");
  host.service.begin(3);
  at(host, { phase: "probation", noted: "servedMs" }, () => {
    host.health.setUnhealthy("b");
    host.boards.die("a");
  });
  assert.equal((await host.upgrade(system, "2")).error?.code, "take-back-failed");
  assert.deepEqual([host.service.lost, host.service.cut], [0, 3]);
  assert.equal((await system.status()).draining, null);
});

test("after a take-back that could not be done an upgrade overwrites the good software by force alone, and what serves comes back after a reboot", async () => {
  const { host, system } = await servingUnproven();
  await assert.rejects(host.upgrade(system, "3"), {
    code: "only-good-slot",
    message: /slot a is good, slot b is unknown/,
  });
  assert.equal(host.state.slots.a?.mark, "good");
  host.slots.a.fault = { kind: "fail", atByte: 1000, code: "slot-write-failed" };
  assert.equal((await host.upgrade(system, "3", true)).outcome, "failed");
  assert.equal(host.state.slots.a?.mark, "bad");
  await system.close();
  host.reboot();
  const next = host.daemon();
  await host.settle(next);
  assert.match(await host.summary(next), /b: in service 2/);
});

test("neither board works: stuck, and the next upgrade brings the service back", async () => {
  const { host, system } = await serving("1");
  at(host, { phase: "probation", noted: "drain" }, () => {
    host.boards.die("a");
    host.boards.die("b");
  });
  const result = await host.upgrade(system, "2");
  assert.deepEqual([result.outcome, result.error?.code], ["stuck", "no-board-works"]);
  assert.equal((await host.upgrade(system, "3")).outcome, "committed");
  assert.equal((await system.status()).stuck, null);
});

test("neither board works: the software that is good is booted by itself, not the one whose probation failed", async () => {
  const { host, system } = await serving("1");
  at(host, { phase: "probation", noted: "drain" }, () => {
    host.boards.die("a");
    host.boards.die("b");
  });
  assert.equal((await host.upgrade(system, "2")).error?.code, "no-board-works");
  await host.settle(system);
  assert.match(await host.summary(system), /^a: in service 1/);
  assert.equal((await system.status()).stuck, null);
});

test("the daemon is killed between the service's return and the old board's `activate`: the next one runs it", async () => {
  const { host, system } = await serving("1");
  at(host, { phase: "probation" }, () => {
    host.boards.die("b");
    host.boards.hanging.add("a.runHook");
  });
  await reach(host, "probation", toVersion(system, "2"));
  assert.equal(host.service.holder, "a");
  await system.close();
  host.boards.hanging.clear();
  const before = host.boards.hookRuns.length;
  const next = host.daemon();
  await host.settle(next);
  assert.ok(host.boards.hookRuns.slice(before).includes("a activate"));
  assert.equal((await next.status()).lastStory?.outcome, "rolled-back");
  assert.equal(await host.summary(next), "a: in service 1, b: off -");
});
