/** A board's own wire is cut: in service, dormant, in the middle of an upgrade. */
import assert from "node:assert/strict";
import test from "node:test";
import { failoverWindowMs, maxMoves } from "../../../src/upgrade/failover-plan.ts";
import {
  assertUntouched,
  at,
  ended,
  reach,
  type Serving,
  serving,
  servingWithoutFailover,
  toVersion,
} from "../../fixtures/simulation/scenes.ts";

const cut = "up1 has no carrier";

async function cutHolder({ host, system }: Serving): Promise<void> {
  const { holder } = host.service;
  assert.ok(holder !== null);
  host.service.cutWire(holder, cut);
  await ended({ host, system });
}

test("the wire of the board in service is cut: the dormant one takes over, the other sleeps, and failover is not ready until its wire is whole", async () => {
  const { host, system } = await serving("1", "2");
  const started = host.boards.started.length;
  await cutHolder({ host, system });
  assert.equal(await host.summary(system), "a: in service 1, b: dormant 2");
  assert.equal(host.boards.started.length, started, "neither had failed: nothing was booted");
  const { failover, stuck, lastStory } = await system.status();
  assert.deepEqual([stuck, lastStory?.kind, lastStory?.outcome], [null, "failover", "committed"]);
  assert.deepEqual(failover, { ready: false, reason: `board b has no link: ${cut}` });
  const report = system.report(lastStory?.id ?? "");
  assert.deepEqual([report?.failure?.cause, report?.failure?.detail], ["unlinked", cut]);

  const moves = host.service.changes.length;
  host.service.cutWire("b", null);
  await ended({ host, system });
  assert.equal(host.service.changes.length, moves, "nothing moves back");
  assert.deepEqual((await system.status()).failover, { ready: true, reason: null });
});

test("both wires are cut: the holder stays, and status says that a person is needed; the first that is whole again serves", async () => {
  const { host, system } = await serving("1", "2");
  host.service.cutWire("a", cut);
  await ended({ host, system });
  assert.equal((await system.status()).stuck, null);
  await cutHolder({ host, system });
  assert.equal(await host.summary(system), "a: dormant 1, b: in service 2");
  const { stuck } = await system.status();
  assert.equal(stuck?.code, "holder-unlinked");
  assert.match(stuck.reason, /board a has no link either/);
  host.service.cutWire("a", null);
  await ended({ host, system });
  assert.equal(await host.summary(system), "a: in service 1, b: dormant 2");
  assert.equal((await system.status()).stuck, null);
});

test("only one board was ever installed, and its wire is cut: it keeps serving, and a person is told until it is whole", async () => {
  const { host, system } = await serving("1");
  await cutHolder({ host, system });
  assert.equal(await host.summary(system), "a: in service 1, b: off -");
  assert.equal((await system.status()).stuck?.code, "holder-unlinked");
  host.service.cutWire("a", null);
  await ended({ host, system });
  assert.equal((await system.status()).stuck, null);
});

test("links that go and come move the service only so often; when the time has passed it is tried again", async () => {
  const { host, system } = await serving("1", "2");
  for (let time = 0; time <= maxMoves; time += 1) {
    host.service.cutWire("a", null);
    host.service.cutWire("b", null);
    await cutHolder({ host, system });
  }
  assert.equal((await system.status()).stuck?.code, "failover-given-up");
  const before = host.service.holder;
  await host.clock.runUntil(host.clock.sleep(failoverWindowMs + 35_000));
  await ended({ host, system });
  assert.notEqual(host.service.holder, before);
});

test("the other board is down when the wire is cut: it is booted, verified, and takes over", async () => {
  const { host, system } = await serving("1", "2");
  host.boards.kill("a");
  await cutHolder({ host, system });
  assert.equal(await host.summary(system), "a: in service 1, b: dormant 2");
});

test("the board in service dies while the other has no link: it boots again instead", async () => {
  const { host, system } = await serving("1", "2");
  host.service.cutWire("a", cut);
  host.boards.die("b");
  await ended({ host, system });
  assert.equal(await host.summary(system), "a: dormant 1, b: in service 2");
});

test("found without a link by a daemon that starts: the dormant one takes over", async () => {
  const { host, system } = await serving("1", "2");
  await system.close();
  host.service.cutWire("b", cut);
  const next = host.daemon();
  await host.settle(next);
  assert.equal(await host.summary(next), "a: in service 1, b: dormant 2");
});

test("a host that boots without any link serves all the same", async () => {
  const { host, system } = await serving("1", "2");
  await system.close();
  host.reboot();
  host.service.cutWire("a", cut);
  host.service.cutWire("b", cut);
  const next = host.daemon();
  await host.settle(next);
  assert.equal(await host.summary(next), "a: dormant 1, b: in service 2");
});

test("an upgrade to a board without a link is refused before the service moves", async () => {
  const { host, system } = await serving("1", "2");
  const moves = host.service.changes.length;
  host.service.cutWire("a", cut);
  const { error, outcome } = await host.upgrade(system, "3");
  assert.deepEqual([outcome, error?.code, error?.phase], ["failed", "board-unlinked", "takeover"]);
  assertUntouched(host, moves);
  assert.equal((await system.status()).holder, "b");
});

test("so is a rollback, and the dormant board sleeps on", async () => {
  const { host, system } = await serving("1", "2");
  host.service.cutWire("a", cut);
  const { error, outcome } = await host.rollback(system);
  assert.deepEqual([outcome, error?.code], ["failed", "board-unlinked"]);
  assert.equal(await host.summary(system), "a: dormant 1, b: in service 2");
});

test("the new board loses its link in probation: the service goes back", async () => {
  const { host, system } = await serving("1", "2");
  at(host, { phase: "probation" }, () => host.service.cutWire("a", cut));
  const { outcome, error } = await host.upgrade(system, "3");
  assert.deepEqual([outcome, error?.code, error?.phase], ["rolled-back", "board-unlinked", "probation"]);
  assert.match(await host.summary(system), /b: in service 2/);
});

test("in probation both wires are cut: nothing is known against the new board, until the old one's is whole again", async () => {
  const { host, system } = await serving("1", "2");
  host.service.begin();
  await reach(host, "probation", toVersion(system, "3"));
  host.service.cutWire("b", cut);
  host.service.cutWire("a", cut);
  await host.clock.runUntil(host.clock.sleep(1000));
  assert.equal(host.service.holder, "a");
  host.service.cutWire("b", null);
  await ended({ host, system });
  const { lastStory } = await system.status();
  assert.deepEqual([lastStory?.outcome, lastStory?.error?.code], ["rolled-back", "board-unlinked"]);
});

test("the new board is unhealthy in probation, and the old one has no link: the service goes back as soon as it has", async () => {
  const { host, system } = await serving("1", "2");
  await reach(host, "probation", toVersion(system, "3"));
  host.service.cutWire("b", cut);
  host.health.setUnhealthy("a");
  await host.clock.runUntil(host.clock.sleep(5000));
  assert.equal(host.service.holder, "a", "an unhealthy board is better than one that nobody reaches");
  host.service.cutWire("b", null);
  await ended({ host, system });
  assert.match(await host.summary(system), /b: in service 2/);
});

test("the new board dies in probation, and the old one has no link: the service goes back all the same", async () => {
  const { host, system } = await serving("1", "2");
  await reach(host, "probation", toVersion(system, "3"));
  host.service.cutWire("b", cut);
  host.boards.die("a");
  await ended({ host, system });
  assert.equal(host.service.holder, "b");
});

test("the wire is cut while a bundle is delivered: the dormant board takes over at once", async () => {
  const { host, system } = await serving("1", "2");
  at(host, { phase: "deliver" }, () => host.service.cutWire("b", cut));
  const { error } = await host.upgrade(system, "3");
  assert.equal(error?.code, "holder-failed");
  await ended({ host, system });
  assert.equal(await host.summary(system), "a: in service 1, b: dormant 2");
});

for (const phase of ["install", "boot", "verify"] as const) {
  test(`the wire is cut in ${phase} of an upgrade: the upgrade is the way to a board that has one`, async () => {
    const { host, system } = await serving("1", "2");
    at(host, { phase }, () => host.service.cutWire("b", cut));
    assert.equal((await host.upgrade(system, "3")).outcome, "committed");
    assert.equal(await host.summary(system), "a: in service 3, b: dormant 2");
  });
}

test("the board that takes over is unhealthy: it keeps the service while the other has no link", async () => {
  const { host, system } = await serving("1", "2");
  host.health.setUnhealthy("a");
  await cutHolder({ host, system });
  assert.equal(host.service.holder, "a");
  assert.equal((await system.status()).stuck?.code, "take-back-failed");
});

test("the board that takes over is unhealthy, and the other's link is back: the service is too", async () => {
  const { host, system } = await serving("1", "2");
  host.health.setUnhealthy("a");
  at(host, { phase: "probation" }, () => host.service.cutWire("b", null));
  await cutHolder({ host, system });
  assert.equal(host.service.holder, "b");
});

test("failover is switched off: nothing moves, and status says that a person is needed", async () => {
  const { host, system } = await servingWithoutFailover("1", "2");
  await cutHolder({ host, system });
  assert.equal(host.service.holder, "b");
  assert.equal((await system.status()).stuck?.code, "holder-unlinked");
  host.service.cutWire("b", null);
  assert.equal((await system.status()).stuck, null);
});
