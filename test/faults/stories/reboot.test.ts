/** The host reboots in the middle of an upgrade: the primary serves again, and the upgrade goes on or was rolled back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Outcome, PhaseName } from "../../../src/upgrade/record.ts";
import {
  at,
  reach,
  type Serving,
  serving,
  servingUnproven,
  servingWithoutFailover,
  toVersion,
} from "../../fixtures/simulation/scenes.ts";

const holds: readonly (readonly [PhaseName, (serving: Serving) => void, Outcome, string])[] = [
  ["deliver", ({ host }) => void (host.delivery.hangs = true), "committed", "a: in service 3, b: dormant 2"],
  [
    "vacate",
    ({ host }) => void host.boards.hanging.add("a.stop"),
    "committed",
    "a: in service 3, b: dormant 2",
  ],
  [
    "install",
    ({ host }) => void (host.slots.a.fault = { kind: "hang", atByte: 1 }),
    "committed",
    "a: in service 3, b: dormant 2",
  ],
  ["boot", ({ host }) => void host.boards.hanging.add("a.start"), "failed", "a: off -, b: in service 2"],
  ["verify", ({ host }) => void host.boards.hanging.add("a.ready"), "failed", "a: off -, b: in service 2"],
  ["takeover", ({ host }) => void host.service.hanging.add("prepare"), "failed", "a: off -, b: in service 2"],
  ["probation", () => undefined, "rolled-back", "a: off -, b: in service 2"],
  [
    "commit",
    ({ host }) => void host.boards.hanging.add("b.pause"),
    "committed",
    "a: in service 3, b: dormant 2",
  ],
];

for (const [phase, hold, outcome, picture] of holds) {
  test(`in ${phase}: ${outcome}`, async () => {
    const { host, system } = await serving("1", "2");
    hold({ host, system });
    const id = await reach(host, phase, toVersion(system, "3"));
    await system.close();
    host.delivery.hangs = false;
    host.boards.hanging.clear();
    host.service.hanging.clear();
    host.slots.a.fault = undefined;
    host.reboot();
    const next = host.daemon();
    await host.settle(next);
    const result = await next.result(id);
    assert.equal(result?.outcome, outcome, JSON.stringify(result));
    if (outcome !== "committed") assert.equal(result.error?.code, "host-rebooted");
    assert.equal(await host.summary(next), picture);
    assert.deepEqual(host.state.failedVersions, [], "the version is not to blame");
  });
}

for (const phase of ["deliver", "install"] as const) {
  test(`in ${phase} of an upgrade that was to overwrite the primary, which serves again: it is left alone`, async () => {
    const { host, system } = await servingUnproven();
    at(host, { phase }, () => void system.close());
    const { id } = await toVersion(system, "3", true)();
    await host.clock.runUntil(system.idle());
    host.reboot();
    const next = host.daemon();
    await host.settle(next);
    assert.equal((await next.result(id))?.outcome, "failed");
    assert.match(await host.summary(next), /a: in service 1/);
    assert.equal((await next.status()).boards.a.slot, "good");
    assert.equal((await host.upgrade(next, "3")).outcome, "committed");
  });
}

test("the primary is ready but not healthy after a reboot: it serves all the same, and status says that a person is needed", async () => {
  const { host, system } = await servingWithoutFailover("1", "2");
  await system.close();
  host.reboot();
  host.health.setUnhealthy("b");
  const next = host.daemon();
  await host.settle(next);
  const { holder, stuck, lastStory } = await next.status();
  assert.equal(holder, "b");
  assert.deepEqual(
    [lastStory?.kind, lastStory?.outcome, stuck?.code],
    ["restart", "stuck", "board-unhealthy"],
  );
  host.health.setHealthy("b");
  assert.equal((await host.upgrade(next, "3")).outcome, "committed");
  assert.equal((await next.status()).stuck, null);
});

test("the host's rules are flushed, without failover: an upgrade is refused at once, and the next daemon gives the running primary its service back", async () => {
  const { host, system } = await servingWithoutFailover("1", "2");
  const started = host.boards.started.length;
  host.service.reboot();
  const path = "/simulated/3.raucb";
  await assert.rejects(host.clock.runUntil(system.upgrade({ kind: "path", path }, { force: false })), {
    code: "service-not-set-up",
  });
  await system.close();
  const next = host.daemon();
  await host.settle(next);
  assert.equal(await host.summary(next), "a: dormant 1, b: in service 2");
  assert.equal(host.boards.started.length, started, "no board was booted for it");
});
