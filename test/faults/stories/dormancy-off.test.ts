/** Boards that are off while they do not hold: the way back is a boot. */
import assert from "node:assert/strict";
import test from "node:test";
import type { DormancyDepth } from "../../../src/board/depth.ts";
import { ended, type Serving, serving } from "../../fixtures/simulation/scenes.ts";
import type { SimulatedHost } from "../../fixtures/simulation/simulated-system.ts";

/** From here on as a daemon that read the configuration anew. */
async function restarted({ host, system }: Serving, dormancy: DormancyDepth): Promise<Serving> {
  await host.clock.runUntil(system.close());
  host.settings = { ...host.settings, dormancy };
  const next = host.daemon();
  await host.settle(next);
  return { host, system: next };
}

const off = async (...versions: string[]): Promise<Serving> =>
  await restarted(await serving(...versions), "off");

const kinds = ({ records }: SimulatedHost): (string | null)[] =>
  records.filter(({ event }) => event === "story-began").map(({ kind }) => kind);

test("a dormant board is stopped once the configuration wants it off, and booted as a standby once it wants it warm", async () => {
  const { host, system } = await off("1", "2");
  assert.equal(await host.summary(system), "a: off 1, b: in service 2");
  const { failover } = await system.status();
  assert.equal(failover.ready, false);
  assert.match(failover.reason ?? "", /^dormancy is off: a board that fails is booted again/);
  assert.deepEqual(kinds(host), ["upgrade", "upgrade"], "nobody boots a standby");
  const { system: warm } = await restarted({ host, system }, "warm");
  assert.equal(await host.summary(warm), "a: dormant 1, b: in service 2");
});

test("an upgrade leaves the old board off, and a rollback boots it", async () => {
  const { host, system } = await off("1");
  assert.equal((await host.upgrade(system, "2")).outcome, "committed");
  assert.equal(await host.summary(system), "a: off 1, b: in service 2");
  const { length } = host.boards.started;
  assert.equal((await host.rollback(system)).outcome, "committed");
  assert.equal(await host.summary(system), "a: in service 1, b: off 2");
  assert.equal(host.boards.started.length, length + 1, "one board was booted");
  assert.equal(host.service.lost, 0);
});

test("status tells since when a board is off, and what the boot of its software took", async () => {
  const { host, system } = await off("1");
  const dormancy = async (name: "a" | "b") => (await system.status()).boards[name].dormancy;
  assert.deepEqual([await dormancy("a"), await dormancy("b")], [null, null], "slot b is empty");
  await host.upgrade(system, "2");
  const spent = (id: string): number => {
    const ofBoot = host.records.filter(({ story, phase }) => story === id && /boot|verify/.test(phase ?? ""));
    return (ofBoot.at(-1)?.at ?? 0) - (ofBoot[0]?.at ?? 0);
  };
  const first = host.records[0]?.story ?? "";
  const since = host.clock.now();
  assert.deepEqual(await dormancy("a"), { depth: "off", since, wayBackMs: spent(first) });
  assert.equal(await dormancy("b"), null);
  // It is begun for a rollback that comes to nothing: since when it is off again nobody wrote down.
  host.boards.failing.add("a.start");
  assert.equal((await host.rollback(system)).outcome, "failed");
  assert.deepEqual(await dormancy("a"), { depth: "off", since: null, wayBackMs: spent(first) });
});

test("an upgrade that fails in probation is taken back at once: the old board runs until the commit", async () => {
  const { host, system } = await off("1");
  host.onRecord = ({ event, phase }) => {
    if (event === "phase-began" && phase === "probation") host.health.setUnhealthy("b");
  };
  assert.equal((await host.upgrade(system, "2")).outcome, "rolled-back");
  assert.equal(await host.summary(system), "a: in service 1, b: off -");
});

test("a board in service that dies is booted again; if that is in vain, the other one is", async () => {
  const { host, system } = await off("1", "2");
  host.boards.die("b");
  await ended({ host, system });
  assert.deepEqual(kinds(host).slice(2), ["restart"]);
  assert.equal(await host.summary(system), "a: off 1, b: in service 2");
  host.boards.faults.set("2", { diesAtBoot: { times: 9 } });
  host.boards.die("b");
  await ended({ host, system });
  assert.equal(await host.summary(system), "a: in service 1, b: off 2");
});

test("from a board that stays unhealthy the service moves to the other one, which boots and is verified for it", async () => {
  const { host, system } = await off("1", "2");
  host.health.setUnhealthy("b");
  await ended({ host, system });
  assert.deepEqual(kinds(host).slice(2), ["failover"]);
  assert.equal(await host.summary(system), "a: in service 1, b: off 2");
  assert.equal(host.service.lost, 0);
});
