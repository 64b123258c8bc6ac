/** A service that is leased around the network's takeover: one takeover over all, and all of it taken back. */
import assert from "node:assert/strict";
import test from "node:test";
import { at, ended, serving } from "../../fixtures/simulation/scenes.ts";

for (const call of ["lease", "settle"] as const)
  test(`its ${call} fails in an upgrade: everything is taken back, and the old board holds all of it`, async () => {
    const { host, system } = await serving("1", "2");
    at(host, { phase: "takeover" }, () => {
      host.line.failing.add(call);
    });
    const failed = host.upgrade(system, "3");
    const result = await failed;
    assert.match(result.outcome, /^(failed|rolled-back)$/, JSON.stringify(result));
    assert.equal(result.error?.code, "takeover-failed");
    assert.match(result.error?.message ?? "", /line/);
    assert.equal(host.service.holder, "b");
    host.line.failing.clear();
    await host.clock.runUntil(host.clock.sleep(10_000));
    const { holder, leasedTo } = host.line.condition;
    assert.deepEqual({ holder, leasedTo }, { holder: "b", leasedTo: null });
    assert.deepEqual((await system.status()).troubles, []);
    assert.equal((await host.upgrade(system, "3", true)).outcome, "committed");
    assert.equal(host.line.condition.holder, host.service.holder);
  });

test("its lease fails in a failover: the network moves all the same, and it follows when it can", async () => {
  const { host, system } = await serving("1", "2");
  host.line.failing.add("lease").add("settle");
  host.boards.die("b");
  await ended({ host, system });
  assert.equal(host.service.holder, "a");
  assert.equal((await system.status()).troubles[0]?.service, "line");
  host.line.failing.clear();
  await host.clock.runUntil(host.clock.sleep(10_000));
  assert.equal(host.line.condition.holder, "a");
  assert.deepEqual((await system.status()).troubles, []);
});

test("what carries it is killed outside a story: it is mended by itself", async () => {
  const { host, system } = await serving("1", "2");
  host.line.reboot();
  assert.equal((await system.status()).troubles.length, 1);
  await host.clock.runUntil(host.clock.sleep(10_000));
  assert.equal(host.line.condition.holder, "b");
  assert.equal((await host.upgrade(system, "3")).outcome, "committed");
  assert.equal(host.line.condition.holder, "a");
});
