/** Upgrades that go well, and the rules of versions. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { simulatedDrain } from "../../../src/service/simulated.ts";
import { at, ended, reach, serving, toVersion } from "../../fixtures/simulation/scenes.ts";

test("an upgrade moves the service once, and the old board is dormant", async () => {
  const { host, system } = await serving("1");
  host.service.begin(3);
  void host.clock.sleep(1000).then(() => host.service.finish("a", 3));
  const result = await host.upgrade(system, "2");
  assert.equal(result.outcome, "committed");
  assert.deepEqual([result.from, result.to], ["1", "2"]);
  assert.deepEqual(result.drain, { ...simulatedDrain({ finished: 3 }), ms: 0, remarks: [] });
  assert.equal(result.error, null);
  assert.equal(await host.summary(system), "a: dormant 1, b: in service 2");
  assert.deepEqual(
    host.service.changes.map(({ from, to }) => `${from} ${to}`),
    ["null a", "a b"],
  );
  assert.equal(host.service.lost + host.service.cut, 0);
  assert.equal(host.delivery.delivered, undefined, "the bundle has been removed");
});

test("20 upgrades in a row alternate between the boards, and each leaves one holder and one dormant board", async () => {
  const { host, system } = await serving("1");
  for (let version = 2; version <= 21; version += 1) {
    host.offer(String(version));
    const result = await host.upgrade(system, String(version));
    assert.equal(result.outcome, "committed");
    const before = version - 1;
    assert.equal(
      await host.summary(system),
      version % 2 === 0
        ? `a: dormant ${before}, b: in service ${version}`
        : `a: in service ${version}, b: dormant ${before}`,
    );
  }
  assert.equal(host.service.changes.length, 21);
  assert.equal(new Set(host.boards.started).size, 21);
});

test("probation is over when its time is served and the old board has drained, whichever comes last", async () => {
  const { host, system } = await serving("1");
  host.service.begin();
  const began = host.clock.now();
  void host.clock.sleep(60_000).then(() => host.service.finish("a"));
  const result = await host.upgrade(system, "2");
  assert.equal(result.outcome, "committed");
  assert.equal(host.clock.now() - began, 60_000);
  assert.equal(result.phases.probation, 60_000);
  assert.deepEqual(result.drain, { ...simulatedDrain({ finished: 1 }), ms: 0, remarks: [] });
});

test("what the old board has not finished at the drain's deadline is cut, never left in silence", async () => {
  const { host, system } = await serving("1");
  host.service.begin(2);
  void host.clock.sleep(30_000).then(() => host.service.passDeadline());
  const result = await host.upgrade(system, "2");
  assert.deepEqual(result.drain, { ...simulatedDrain({ cut: 2 }), ms: 0, remarks: [] });
  assert.equal(host.service.lost, 0);
});

test("a version that failed is refused until it is forced, and forgiven once it is committed", async () => {
  const { host, system } = await serving("1");
  host.boards.faults.set("2", { reports: null });
  assert.equal((await host.upgrade(system, "2")).error?.code, "board-not-ready");
  assert.deepEqual(host.state.failedVersions, ["2"]);
  host.boards.faults.clear();
  const refused = await host.upgrade(system, "2");
  assert.deepEqual([refused.outcome, refused.error?.code], ["rejected", "bundle-version-failed"]);
  assert.equal((await host.upgrade(system, "2", true)).outcome, "committed");
  assert.deepEqual(host.state.failedVersions, []);
});

test("a version is not blamed for what a person or the host did", async () => {
  const { host, system } = await serving("1");
  at(host, { phase: "verify" }, () => void system.cancel());
  assert.equal((await host.upgrade(system, "2")).error?.code, "cancelled");
  host.slots.b.fault = { kind: "fail", atByte: 0, code: "slot-write-failed" };
  assert.equal((await host.upgrade(system, "2")).error?.code, "slot-write-failed");
  host.slots.b.fault = undefined;
  host.service.failing.add("handOver");
  assert.equal((await host.upgrade(system, "2")).error?.code, "takeover-failed");
  assert.deepEqual(host.state.failedVersions, []);
});

test("the floor rises at the commit, not before, and neither a failure nor force lowers it", async () => {
  const { host, system } = await serving("2");
  await reach(host, "probation", toVersion(system, "3"));
  assert.equal(host.state.floor, "2");
  await ended({ host, system });
  assert.equal(host.state.floor, "3");
  const refused = await host.upgrade(system, "1", true);
  assert.equal(refused.error?.code, "bundle-below-floor");
  assert.equal((await host.upgrade(system, "3")).outcome, "committed", "the floor itself is accepted");
});

test("a second story while one is under way is refused by the name of the first", async () => {
  const { host, system } = await serving("1");
  const source = { kind: "path", path: "/simulated/2.raucb" } as const;
  const first = system.upgrade(source, { force: false });
  await assert.rejects(system.upgrade(source, { force: false }), { code: "busy" });
  await reach(host, "probation", () => first);
  for (const second of [() => system.upgrade(source, { force: false }), () => system.rollback()]) {
    await assert.rejects(second(), { code: "busy", detail: "000002-upgrade, upgrade to 2, in probation" });
  }
  await assert.rejects(system.down(AbortSignal.timeout(1000)), { code: "busy" });
  await ended({ host, system });
  assert.equal(await host.summary(system), "a: dormant 1, b: in service 2");
});

for (const outcome of ["committed", "failed"] as const) {
  test(`an upgrade that is ${outcome} while the kernel kills a process of the new board: the report tells it`, async () => {
    const { host, system } = await serving("1");
    const phase = outcome === "committed" ? "probation" : "verify";
    at(host, { phase }, () => {
      host.boards.memoryKills.set("b", 2);
      if (outcome === "failed") host.health.setUnhealthy("b");
    });
    const { id, outcome: came } = await host.upgrade(system, "2");
    assert.equal(came, outcome);
    assert.match(system.report(id)?.remarks.join("\n") ?? "", /killed 2 processes of board b/);
  });
}
