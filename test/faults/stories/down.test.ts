/** A system is taken down: at a bad moment, by halves, or without a daemon. */
import assert from "node:assert/strict";
import test from "node:test";
import { ended, reach, serving, toVersion, turns } from "../../fixtures/simulation/scenes.ts";

const soon = (): AbortSignal => AbortSignal.timeout(60_000);

test("it fails half-way while a standby boots: nothing is brought up again by itself, and what is asked for is done", async () => {
  const { host, system } = await serving("1", "2");
  host.boards.hanging.add("a.ready");
  host.boards.kill("a");
  await host.clock.runUntil(host.clock.sleep(3000));
  assert.equal((await system.status()).story?.kind, "standby");
  host.service.failing.add("tearDown");
  await assert.rejects(host.clock.runUntil(system.down(soon())), { code: "command-failed" });
  await host.clock.runUntil(host.clock.sleep(40_000));
  assert.deepEqual([host.boards.get("a"), host.boards.get("b")], [undefined, undefined]);
  host.boards.hanging.clear();
  host.service.failing.clear();
  assert.equal((await host.upgrade(system, "3")).outcome, "committed");
  await host.clock.runUntil(system.down(soon()));
  assert.equal(host.service.condition.present, false);
});

test("it is refused while an upgrade is under way: failover goes on watching", async () => {
  const { host, system } = await serving("1", "2");
  host.delivery.hangs = true;
  await reach(host, "deliver", toVersion(system, "3"));
  await assert.rejects(host.clock.runUntil(system.down(soon())), { code: "busy" });
  host.boards.die("b");
  await ended({ host, system });
  assert.equal(await host.summary(system), "a: in service 1, b: dormant 2");
});

test("it fails without a daemon: nothing is begun by itself", async () => {
  const { host, system } = await serving("1", "2");
  await system.close();
  host.boards.kill("a");
  const records = host.records.length;
  const lone = host.daemon();
  host.service.failing.add("tearDown");
  await assert.rejects(host.clock.runUntil(lone.down(soon())), { code: "command-failed" });
  await host.clock.runUntil(host.clock.sleep(40_000));
  await ended({ host, system: lone });
  assert.equal(host.records.length, records);
});

test("something happens in the moment before: it is taken down all the same, and nobody looks at it afterwards", async () => {
  const { host, system } = await serving("1", "2");
  host.boards.kill("a");
  await host.clock.runUntil(system.down(soon()));
  assert.deepEqual(
    [host.service.condition.present, host.boards.get("a"), host.boards.get("b")],
    [false, undefined, undefined],
  );
  await turns();
  assert.equal(host.boards.listeners("a").size + host.boards.listeners("b").size, 0, "nobody listens to it");
  assert.equal(host.health.watchers, 0, "nobody asks it how it is");
});
