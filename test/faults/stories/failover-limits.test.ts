/** What failover counts, for how long it remembers, and what it leaves to a person. */
import assert from "node:assert/strict";
import test from "node:test";
import { failoverWindowMs, maxMoves, maxStandbys } from "../../../src/upgrade/failover-plan.ts";
import { ended, type Serving, serving, toVersion } from "../../fixtures/simulation/scenes.ts";

async function killHolder({ host, system }: Serving): Promise<void> {
  const { holder } = host.service;
  assert.ok(holder !== null);
  host.boards.die(holder);
  await ended({ host, system });
}

test("a standby that gives way to a story that somebody asked for was not in vain", async () => {
  const { host, system } = await serving("1", "2");
  host.boards.hanging.add("a.ready");
  host.boards.kill("a");
  await host.clock.runUntil(host.clock.sleep(3000));
  for (let time = 0; time <= maxStandbys; time += 1) {
    assert.equal((await system.status()).story?.kind, "standby", `after ${time} upgrades`);
    const { id } = await host.clock.runUntil(toVersion(system, "1")());
    await host.clock.runUntil(host.clock.sleep(1000));
    assert.equal((await system.result(id))?.outcome, "rejected", "below the floor");
  }
});

test("a failover that was in vain long ago does not keep the dormant board from taking over today", async () => {
  const { host, system } = await serving("1", "2");
  host.health.setUnhealthy("a");
  host.health.setUnhealthy("b");
  await ended({ host, system });
  assert.equal(await host.summary(system), "a: dormant 1, b: in service 2");
  host.health.setHealthy("a");
  host.health.setHealthy("b");
  await host.clock.runUntil(host.clock.sleep(failoverWindowMs + 35_000));
  const started = host.boards.started.length;
  await killHolder({ host, system });
  assert.equal(host.service.holder, "a");
  assert.equal(host.boards.started.length, started + 1, "only the standby was booted");
});

test("when failover has given up, an upgrade may fail to boot once without being given up for the dead board", async () => {
  const { host, system } = await serving("1", "2");
  for (let time = 0; time <= maxMoves; time += 1) await killHolder({ host, system });
  assert.equal((await system.status()).stuck?.code, "failover-given-up");
  host.boards.faults.set("3", { diesAtBoot: { times: 1 } });
  assert.equal((await host.upgrade(system, "3")).outcome, "committed");
  assert.equal((await system.status()).stuck, null);
});

test("a board that takes long to fail at each start is told of after three of them, and tried again later", async () => {
  const { host, system } = await serving("1");
  host.boards.faults.set("1", { reports: null });
  await killHolder({ host, system });
  const tried = host.boards.started.length;
  const { stuck } = await system.status();
  assert.equal(stuck?.code, "failover-given-up");
  assert.match(stuck?.reason ?? "", /started 3 times in a row in vain/);
  host.boards.faults.clear();
  await host.clock.runUntil(host.clock.sleep(failoverWindowMs + 60_000));
  await host.clock.runUntil(system.idle());
  assert.equal(host.boards.started.length, tried + 1);
  assert.equal(await host.summary(system), "a: in service 1, b: off -");
  assert.equal((await system.status()).stuck, null);
});

test("with a full disk each story has an id of its own", async () => {
  const { host, system } = await serving("1");
  const ids: string[] = [];
  host.journalFails = () => true;
  for (let time = 0; time < 2; time += 1) {
    await killHolder({ host, system });
    ids.push((await system.status()).lastStory?.id ?? "");
  }
  host.journalFails = () => false;
  assert.equal((await host.upgrade(system, "2")).outcome, "committed");
  assert.equal(new Set(ids).size, 2, ids.join(" "));
  for (const id of ids)
    assert.equal(
      host.records.filter(({ story, event }) => story === id && event === "story-began").length,
      1,
    );
});
