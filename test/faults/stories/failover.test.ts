/** The board in service fails outside an upgrade, or the other one is not there to take over. */
import assert from "node:assert/strict";
import test from "node:test";
import { failoverWindowMs, maxMoves } from "../../../src/upgrade/failover-plan.ts";
import type { StoryResult } from "../../../src/upgrade/status.ts";
import { maxTries } from "../../../src/upgrade/system-file.ts";
import {
  at,
  ended,
  reach,
  type Serving,
  serving,
  servingWithoutFailover,
  toVersion,
} from "../../fixtures/simulation/scenes.ts";

const failures: readonly (readonly [string, (serving: Serving) => void])[] = [
  ["dies", ({ host }) => host.boards.die("b")],
  ["is killed", ({ host }) => host.boards.kill("b")],
  ["hangs", ({ host }) => host.boards.hang("b")],
  ["stays unhealthy", ({ host }) => host.health.setUnhealthy("b")],
];

for (const [what, fail] of failures) {
  test(`the board in service ${what}: the dormant one takes over, and the other is warm again afterwards`, async () => {
    const { host, system } = await serving("1", "2");
    host.service.begin(2);
    fail({ host, system });
    await ended({ host, system });
    const { lastStory, holder, primary, stuck, failover } = await system.status();
    assert.deepEqual([holder, primary, stuck], ["a", "a", null]);
    assert.deepEqual(
      [host.service.lost, host.service.cut],
      [0, 2],
      "clients of the failed board learn at once",
    );
    const kinds = host.records.filter(({ event }) => event === "story-began").map(({ kind }) => kind);
    assert.deepEqual(kinds.slice(2), [
      "failover",
      ...Array.from({ length: what === "stays unhealthy" ? 3 : 1 }, () => "standby"),
    ]);
    if (what === "stays unhealthy") {
      // It boots afresh and is no better: it is not laid to sleep as if it were.
      assert.equal(lastStory?.outcome, "failed");
      assert.equal(failover.ready, false);
    } else {
      assert.equal(await host.summary(system), "a: in service 1, b: dormant 2");
      assert.deepEqual(failover, { ready: true, reason: null });
    }
  });
}

test("only one board was ever installed, and it dies: it boots again", async () => {
  const { host, system } = await serving("1");
  host.boards.die("a");
  await ended({ host, system });
  assert.equal(await host.summary(system), "a: in service 1, b: off -");
  assert.equal((await system.status()).stuck, null);
});

test("a board that hangs and has no other is started again, not adopted", async () => {
  const { host, system } = await serving("1");
  const before = host.boards.get("a")?.condition.instance;
  host.boards.hang("a");
  await ended({ host, system });
  assert.equal(await host.summary(system), "a: in service 1, b: off -");
  assert.notEqual(host.boards.get("a")?.condition.instance, before);
});

test("a board that is unhealthy and has no other keeps serving, and status says that a person is needed until it is healthy", async () => {
  const { host, system } = await serving("1");
  host.health.setUnhealthy("a");
  await ended({ host, system });
  assert.equal(await host.summary(system), "a: in service 1, b: off -");
  const { stuck, failover } = await system.status();
  assert.equal(stuck?.code, "holder-unhealthy");
  assert.match(failover.reason ?? "", /given up/);
  host.health.setHealthy("a");
  await host.clock.runUntil(host.clock.sleep(35_000));
  await ended({ host, system });
  assert.equal((await system.status()).stuck, null);
});

test("what fails again and again is given up, loudly; when the time has passed it is tried again", async () => {
  const { host, system } = await serving("1", "2");
  for (let time = 0; time <= maxMoves; time += 1) {
    const { holder } = host.service;
    assert.ok(holder !== null);
    host.boards.die(holder);
    await ended({ host, system });
  }
  const { stuck, failover } = await system.status();
  assert.equal(stuck?.code, "failover-given-up");
  assert.match(stuck.reason, /3 times within 10 min/);
  assert.equal(failover.ready, false);
  await host.clock.runUntil(host.clock.sleep(failoverWindowMs + 35_000));
  await ended({ host, system });
  assert.equal((await system.status()).stuck, null);
  assert.match(await host.summary(system), /in service/);
});

test("given up is given up by the next daemon too", async () => {
  const { host, system } = await serving("1", "2");
  for (let time = 0; time < maxMoves; time += 1) {
    const { holder } = host.service;
    assert.ok(holder !== null);
    host.boards.die(holder);
    await ended({ host, system });
  }
  await system.close();
  const next = host.daemon();
  await host.settle(next);
  const { holder } = host.service;
  assert.ok(holder !== null);
  host.boards.hang(holder);
  await ended({ host, system: next });
  assert.equal((await next.status()).stuck?.code, "failover-given-up");
});

test("the board that takes over dies at once: the other one boots and serves", async () => {
  const { host, system } = await serving("1", "2");
  at(host, { phase: "takeover", event: "phase-done" }, () => host.boards.die("a"));
  host.boards.die("b");
  await ended({ host, system });
  assert.match(await host.summary(system), /in service/);
  assert.equal(host.service.lost, 0);
});

test("the board that takes over hangs before it is watched: that is not forgotten", async () => {
  const { host, system } = await serving("1", "2");
  const dormant = host.boards.get("a")?.condition.instance;
  at(host, { phase: "takeover", event: "phase-done" }, () => host.boards.hang("a"));
  host.boards.die("b");
  await ended({ host, system });
  assert.equal(await host.summary(system), "a: in service 1, b: dormant 2");
  assert.notEqual(host.boards.get("a")?.condition.instance, dormant, "it was started again");
});

test("the board that takes over is unhealthy: it keeps serving, because nobody else can, until the other is back", async () => {
  const { host, system } = await serving("1", "2");
  host.health.setUnhealthy("a");
  host.boards.die("b");
  await ended({ host, system });
  assert.equal(await host.summary(system), "a: off 1, b: in service 2");
  assert.equal((await system.status()).stuck, null);
});

test("the dormant board cannot be woken: the one in service boots again", async () => {
  const { host, system } = await serving("1", "2");
  host.boards.failing.add("a.resume");
  host.boards.die("b");
  await ended({ host, system });
  assert.match(await host.summary(system), /in service/);
});

test("the dormant board dies: it is booted, verified and laid to sleep again", async () => {
  const { host, system } = await serving("1", "2");
  host.boards.kill("a");
  await host.clock.runUntil(host.clock.sleep(35_000));
  await ended({ host, system });
  assert.equal(await host.summary(system), "a: dormant 1, b: in service 2");
});

test("software of the other board that does not boot any more is left alone after some tries", async () => {
  const { host, system } = await serving("1", "2");
  host.boards.faults.set("1", { diesAtBoot: { times: 99 } });
  host.boards.kill("a");
  await host.clock.runUntil(host.clock.sleep(60_000));
  await ended({ host, system });
  const standbys = host.records.filter(({ event, kind }) => event === "story-began" && kind === "standby");
  assert.equal(standbys.length, 3);
  const { failover, stuck } = await system.status();
  assert.equal(stuck, null, "the service is fine");
  assert.match(failover.reason ?? "", /given up: board a was booted 3 times/);
});

for (const phase of ["deliver", "install", "verify"] as const) {
  test(`it dies in ${phase} of an upgrade: the upgrade is given up, and the service is back`, async () => {
    const { host, system } = await serving("1", "2");
    at(host, { phase }, () => host.boards.die("b"));
    const result = await host.upgrade(system, "3");
    assert.equal(result.error?.code, "holder-failed");
    assert.match(await host.summary(system), /in service/);
    assert.deepEqual(host.state.failedVersions, [], "the version is not to blame");
    assert.equal((await host.upgrade(system, "3")).outcome, "committed");
  });
}

test("it dies in the moment in which an upgrade is asked for: the upgrade is given up as any other", async () => {
  const { host, system } = await serving("1", "2");
  host.boards.die("b");
  const { id } = await host.clock.runUntil(toVersion(system, "3")());
  await ended({ host, system });
  assert.equal((await system.result(id))?.error?.code, "holder-failed");
  assert.equal(await host.summary(system), "a: in service 1, b: dormant 2");
});

test("an upgrade that is asked for while a standby boots comes first", async () => {
  const { host, system } = await serving("1", "2");
  host.boards.hanging.add("a.ready");
  await reach(host, "verify", async () => {
    host.boards.kill("a");
    await host.clock.sleep(3000);
    return { id: "standby" };
  });
  host.boards.hanging.clear();
  assert.equal((await host.upgrade(system, "3")).outcome, "committed");
  assert.equal(await host.summary(system), "a: in service 3, b: dormant 2");
});

test("somebody flushes the host's rules: they are made again, and the running board gets its service back", async () => {
  const { host, system } = await serving("1", "2");
  const started = host.boards.started.length;
  host.service.reboot();
  await host.clock.runUntil(host.clock.sleep(35_000));
  await ended({ host, system });
  assert.equal(await host.summary(system), "a: dormant 1, b: in service 2");
  assert.equal(host.boards.started.length, started, "no board was booted for it");
});

test("the disk is full when the board in service dies: the other takes over all the same", async () => {
  const { host, system } = await serving("1", "2");
  host.journalFails = () => true;
  host.boards.die("b");
  await ended({ host, system });
  assert.equal(host.service.holder, "a");
});

test("found dead by a daemon that starts: the dormant one takes over", async () => {
  const { host, system } = await serving("1", "2");
  await system.close();
  host.boards.die("b");
  const next = host.daemon();
  await host.settle(next);
  assert.equal(await host.summary(next), "a: in service 1, b: dormant 2");
});

test("the board that takes over cannot be woken, nor the failed one booted: the other boots, and what the failed one had begun is ended", async () => {
  const { host, system } = await serving("1", "2");
  host.boards.failing.add("a.resume");
  host.boards.faults.set("2", { diesAtBoot: { times: 2 } });
  host.boards.faults.set("1", { failingHook: "activate" });
  host.service.begin(2);
  host.boards.die("b");
  await ended({ host, system });
  assert.equal(await host.summary(system), "a: in service 1, b: dormant 2");
  assert.deepEqual([host.service.lost, host.service.cut, host.service.condition.draining], [0, 2, null]);
});

function standbyOutcomes(host: Serving["host"]): unknown[] {
  return host.records.flatMap(({ kind, event, data }) =>
    kind === "standby" && event === "story-ended" ? [(data["result"] as StoryResult).outcome] : [],
  );
}

test("the other board dies as it is laid to sleep: it is no standby, and boots again", async () => {
  const { host, system } = await serving("1", "2");
  host.boards.kill("a");
  at(host, { phase: "commit" }, () => host.boards.die("a"));
  await host.clock.runUntil(host.clock.sleep(4000));
  await ended({ host, system });
  assert.deepEqual(standbyOutcomes(host), ["failed", "committed"]);
  assert.equal(await host.summary(system), "a: dormant 1, b: in service 2");
});

test("the host reboots as the other board is laid to sleep: it is no standby, and boots again", async () => {
  const { host, system } = await serving("1", "2");
  host.boards.kill("a");
  host.boards.hanging.add("a.pause");
  await reach(host, "commit", async () => {
    await host.clock.sleep(4000);
    return { id: "standby" };
  });
  await host.clock.runUntil(system.close());
  host.boards.hanging.clear();
  host.reboot();
  const next = host.daemon();
  await host.settle(next);
  assert.deepEqual(standbyOutcomes(host), ["failed", "committed"]);
  assert.equal(await host.summary(next), "a: dormant 1, b: in service 2");
});

test("a restart that another daemon goes on with fails: the other board serves", async () => {
  const { host, system } = await serving("1", "2");
  await system.close();
  host.reboot();
  host.boards.faults.set("2", { reports: null });
  const daemon = host.daemon();
  at(host, { phase: "verify" }, () => void daemon.close());
  await host.settle(daemon);
  const next = host.daemon();
  await host.settle(next);
  assert.match(await host.summary(next), /a: in service 1/);
});

test("after a reboot of the host the primary serves, and the other is booted, verified and laid to sleep", async () => {
  const { host, system } = await serving("1", "2");
  await system.close();
  host.reboot();
  const next = host.daemon();
  await host.settle(next);
  assert.equal(await host.summary(next), "a: dormant 1, b: in service 2");
  assert.deepEqual((await next.status()).failover, { ready: true, reason: null });
});

test("a primary whose tries are used up by reboots waits behind the other board", async () => {
  const { host, system } = await serving("1", "2");
  await system.close();
  for (let time = 0; time < maxTries; time += 1) {
    host.reboot();
    const daemon = host.daemon();
    at(host, { phase: "verify" }, () => void daemon.close());
    await host.settle(daemon);
  }
  host.onRecord = undefined;
  host.reboot();
  const next = host.daemon();
  await host.settle(next);
  assert.match(await host.summary(next), /a: in service 1/);
  assert.equal(host.state.triesUsed.a, 0);
});

test("switched off in the configuration: a board that dies stays dead, and status says so", async () => {
  const { host, system } = await servingWithoutFailover("1", "2");
  host.boards.die("b");
  await host.clock.runUntil(host.clock.sleep(35_000));
  const { stuck, failover } = await system.status();
  assert.equal(stuck?.code, "board-died");
  assert.deepEqual(failover, { ready: false, reason: "switched off in the configuration" });
});
