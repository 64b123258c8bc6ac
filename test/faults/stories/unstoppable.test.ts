/** A board that does not end although it was killed, as one whose process does not leave the kernel: the other one serves, and it is told. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { at, ended, serving } from "../../fixtures/simulation/scenes.ts";

test("the dormant board: upgrades fail before anything is written, until it can be ended", async () => {
  const { host, system } = await serving("1", "2");
  host.boards.failing.add("a.stop");
  const { outcome, error } = await host.upgrade(system, "3");
  assert.deepEqual([outcome, error?.phase, error?.message.includes("a.stop")], ["failed", "vacate", true]);
  assert.equal(await host.summary(system), "a: dormant 1, b: in service 2");
  assert.equal(host.state.slots.a?.mark, "good");
  host.boards.failing.clear();
  assert.equal((await host.upgrade(system, "3")).outcome, "committed");
  await system.close();
});

test("the board in service, which has died: the other one serves, and what cannot be done is told", async () => {
  const { host, system } = await serving("1", "2");
  host.boards.failing.add("b.stop");
  host.boards.die("b");
  await ended({ host, system });
  const { holder, failover, stuck } = await system.status();
  assert.deepEqual([holder, failover.ready], ["a", false]);
  assert.match(failover.reason ?? "", /^given up: board b was booted \d+ times/);
  assert.match(stuck?.reason ?? "", /b\.stop/);
  assert.equal(await host.summary(system), "a: in service 1, b: dead 2");
  await system.close();
});

test("the new board, which dies in probation: the old one serves, and the system is stuck until the next upgrade", async () => {
  const { host, system } = await serving("1");
  at(host, { phase: "probation" }, () => {
    host.boards.failing.add("b.stop");
    host.boards.die("b");
  });
  assert.equal((await host.upgrade(system, "2")).outcome, "stuck");
  assert.equal(await host.summary(system), "a: in service 1, b: dead 2");
  assert.match((await system.status()).stuck?.reason ?? "", /b\.stop/);
  host.boards.failing.clear();
  assert.equal((await host.upgrade(system, "3")).outcome, "committed");
  assert.equal((await system.status()).stuck, null);
  await system.close();
});
