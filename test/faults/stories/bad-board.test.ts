/** New software that does wrong before the service has moved, and installations that fail: who serves does not feel it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ErrorCode } from "../../../src/errors.ts";
import {
  assertUntouched,
  at,
  type Serving,
  serving,
  servingWithoutFailover,
} from "../../fixtures/simulation/scenes.ts";

/** Upgrades to version 2, which fails with this code; version 1 serves on and nothing of the outside has changed. */
async function assertFails({ host, system }: Serving, code: ErrorCode): Promise<void> {
  host.service.begin(5);
  const changes = host.service.changes.length;
  const result = await host.upgrade(system, "2");
  assert.equal(result.outcome, "failed");
  assert.equal(result.error?.code, code);
  assertUntouched(host, changes);
  assert.equal(host.service.flows.a, 5);
  assert.equal(await host.summary(system), "a: in service 1, b: off -");
  assert.equal(host.state.slots.b?.mark, "bad");
  assert.equal(host.state.primary, "a");
  assert.equal(host.state.floor, "1");
  assert.equal((await system.status()).stuck, null);
  await assert.rejects(system.rollback(), { code: "nothing-to-roll-back-to" });
}

for (const code of ["bundle-payload-corrupt", "slot-write-failed"] as const) {
  test(`an installation that fails with ${code} leaves a bad slot, which is never booted`, async () => {
    const { host, system } = await serving("1");
    host.slots.b.fault = { kind: "fail", atByte: 1000, code };
    await assertFails({ host, system }, code);
    assert.equal(host.boards.started.length, 1);
    host.slots.b.fault = undefined;
    host.service.finish("a", 5);
    assert.equal((await host.upgrade(system, "2")).outcome, "committed");
  });
}

test("a board that is never ready is booted as often as configured, then given up", async () => {
  const { host, system: first } = await serving("1");
  await first.close();
  host.settings = { ...host.settings, attempts: 3 };
  const system = host.daemon();
  await host.settle(system);
  host.boards.faults.set("2", { reports: null });
  const began = host.clock.now();
  await assertFails({ host, system }, "board-not-ready");
  assert.equal(host.boards.started.filter((start) => start.startsWith("b ")).length, 3);
  assert.equal(host.clock.now() - began, 3 * host.settings.bootTimeoutMs);
  assert.deepEqual(host.state.failedVersions, ["2"]);
});

test("a board whose start does not come to an end is given up when its time to boot is over; its software is not to blame", async () => {
  const { host, system } = await serving("1");
  host.boards.hanging.add("b.start");
  const began = host.clock.now();
  await assertFails({ host, system }, "board-start-failed");
  assert.equal(host.clock.now() - began, host.settings.bootTimeoutMs);
  assert.deepEqual(host.state.failedVersions, []);
});

test("a board that dies once while it boots is booted again; one that dies each time is given up", async () => {
  const { host, system } = await serving("1");
  host.boards.faults.set("2", { diesAtBoot: { times: 1 } });
  assert.equal((await host.upgrade(system, "2")).outcome, "committed");
  host.boards.faults.set("3", { diesAtBoot: { times: 9 } });
  const result = await host.upgrade(system, "3");
  assert.equal(result.outcome, "failed");
  assert.equal(result.error?.code, "board-died");
  assert.deepEqual(result.error.console, ["3 boots", "kernel panic"]);
  assert.equal(host.boards.started.length, 1 + 2 + 2);
});

test("a board whose launch is killed is started again; if that happens each time its software is not to blame", async () => {
  const { host, system } = await serving("1");
  host.boards.faults.set("2", { killedAtStart: { times: 1 } });
  assert.equal((await host.upgrade(system, "2")).outcome, "committed");
  host.boards.faults.set("3", { killedAtStart: { times: 9 } });
  const result = await host.upgrade(system, "3");
  assert.equal(result.outcome, "failed");
  assert.equal(result.error?.code, "board-start-killed");
  assert.deepEqual(host.state.failedVersions, []);
});

test("a board that reports another version than its bundle is not tried again", async () => {
  const { host, system } = await serving("1");
  host.boards.faults.set("2", { reports: "1.9" });
  await assertFails({ host, system }, "board-wrong-version");
  assert.equal(host.boards.started.length, 2);
  assert.deepEqual(host.state.failedVersions, ["2"]);
});

test("a board that never gets healthy fails at the verification's deadline", async () => {
  const { host, system } = await serving("1");
  host.health.setUnhealthy("b");
  const began = host.clock.now();
  await assertFails({ host, system }, "board-unhealthy");
  assert.equal(host.clock.now() - began, host.settings.verifyTimeoutMs);
});

test("a board that gets healthy in time is taken", async () => {
  const { host, system } = await serving("1");
  host.health.setUnhealthy("b");
  void host.clock.sleep(30_000).then(() => host.health.setHealthy("b"));
  assert.equal((await host.upgrade(system, "2")).outcome, "committed");
});

test("a board that dies in verify is booted again", async () => {
  const { host, system } = await serving("1");
  at(host, { phase: "verify" }, () => host.boards.die("b"));
  const { id, outcome } = await host.upgrade(system, "2");
  assert.equal(outcome, "committed");
  assert.equal(host.boards.started.length, 3);
  const tries = system.report(id)?.phases.filter(({ phase }) => phase === "verify");
  assert.deepEqual(
    tries?.map(({ end, reason }) => [end, reason]),
    [
      ["failed", "the board died: board b: panic"],
      ["done", null],
    ],
    "the report tells why the first try failed",
  );
});

test("a board that dies as its takeover begins never gets the service", async () => {
  const { host, system } = await serving("1");
  at(host, { phase: "takeover" }, () => host.boards.die("b"));
  await assertFails({ host, system }, "board-died");
});

test("a board that dies with the takeover's transaction under way does not keep the service", async () => {
  const { host, system } = await serving("1");
  at(host, { phase: "takeover", noted: "takeoverAt" }, () =>
    queueMicrotask(() => queueMicrotask(() => host.boards.die("b"))),
  );
  const result = await host.upgrade(system, "2");
  assert.equal(result.error?.code, "board-died");
  assert.equal(await host.summary(system), "a: in service 1, b: off -");
  assert.equal((await system.status()).stuck, null);
});

for (const call of ["start", "setPriority"]) {
  test(`a board whose ${call} fails leaves everything as it was`, async () => {
    const { host, system } = await serving("1");
    host.boards.failing.add(`b.${call}`);
    await assertFails({ host, system }, "command-failed");
    assert.equal(host.boards.get("b"), undefined);
  });
}

for (const call of ["attach", "prepare", "handOver"] as const) {
  test(`a service whose ${call} fails leaves everything as it was`, async () => {
    const { host, system } = await serving("1");
    host.service.failing.add(call);
    await assertFails({ host, system }, call === "handOver" ? "takeover-failed" : "command-failed");
    assert.equal(host.service.leased, null);
  });
}

test("the board in service dies while another is installed, without failover: the upgrade goes on and brings the service back", async () => {
  const { host, system } = await servingWithoutFailover("1");
  at(host, { phase: "install" }, () => host.boards.die("a"));
  const result = await host.upgrade(system, "2");
  assert.equal(result.outcome, "committed");
  assert.equal(await host.summary(system), "a: dead 1, b: in service 2");
});

test("the board in service dies while an upgrade fails, without failover: status says so when the story has ended", async () => {
  const { host, system } = await servingWithoutFailover("1");
  host.boards.faults.set("2", { reports: "7" });
  at(host, { phase: "install" }, () => host.boards.die("a"));
  assert.equal((await host.upgrade(system, "2")).outcome, "failed");
  assert.equal((await system.status()).stuck?.code, "board-died");
});
