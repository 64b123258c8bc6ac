/** A disk on which the journal or `system.json` cannot be written: an upgrade is undone or goes on, and the service is never lost. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { otherBoard } from "../../../src/board/board.ts";
import type { System } from "../../../src/upgrade/system.ts";
import { at, type Serving, serving } from "../../fixtures/simulation/scenes.ts";
import type { SimulatedHost } from "../../fixtures/simulation/simulated-system.ts";

/** Whether the disk fails once, or from then on until somebody makes room. */
const kinds = ["once", "for good"] as const;

const acts = {
  upgrade: (host: SimulatedHost, system: System) => host.upgrade(system, "3"),
  "upgrade that is taken back": (host: SimulatedHost, system: System) => {
    at(host, { phase: "probation" }, () => host.health.setUnhealthy("a"));
    return host.upgrade(system, "3");
  },
  "upgrade whose board dies in verify": (host: SimulatedHost, system: System) => {
    at(host, { phase: "verify" }, () => host.boards.die("a"));
    return host.upgrade(system, "3");
  },
  "upgrade that is cancelled in probation": (host: SimulatedHost, system: System) => {
    at(host, { phase: "probation" }, () => void system.cancel().catch(() => undefined));
    return host.upgrade(system, "3");
  },
  rollback: (host: SimulatedHost, system: System) => host.rollback(system),
};

for (const [name, act] of Object.entries(acts)) {
  for (const kind of kinds) {
    test(`${name}: every journal record fails, ${kind}`, async () => {
      let fails = true;
      for (let record = 1; fails; record += 1) {
        const { host, system } = await serving("1", "2");
        let records = 0;
        host.journalFails = () => {
          records += 1;
          return kind === "once" ? records === record : records >= record;
        };
        await assertServed({ host, system }, act, `record ${record}`);
        fails = records >= record;
      }
    });
  }
}

test("upgrade: every replacement of system.json fails", async () => {
  let fails = true;
  for (let update = 1; fails; update += 1) {
    const { host, system } = await serving("1", "2");
    let updates = 0;
    host.systemFileFails = () => {
      updates += 1;
      return updates === update;
    };
    await assertServed({ host, system }, acts.upgrade, `replacement ${update}`);
    fails = updates >= update;
  }
});

async function assertServed(
  { host, system }: Serving,
  act: (host: SimulatedHost, system: System) => Promise<unknown>,
  where: string,
): Promise<void> {
  await act(host, system).catch((error: unknown) => assert.match(String(error), /no space left/));
  const { holder, story, draining } = await system.status();
  assert.equal(story, null, where);
  assert.ok(holder !== null, where);
  assert.equal(host.boards.get(holder)?.condition.state, "running", where);
  assert.notEqual(host.state.slots[holder]?.mark, "bad", where);
  assert.equal(draining, null, where);
  assert.equal(host.service.lost, 0, where);
  await system.close();

  // Room is made, and another daemon comes: it makes an end of what it finds, and the system upgrades as ever.
  host.journalFails = () => false;
  host.systemFileFails = () => false;
  host.onRecord = undefined;
  host.health.setHealthy("a");
  const next = host.daemon();
  await host.settle(next);
  const after = await next.status();
  assert.ok(after.holder !== null, where);
  assert.equal(after.boards[after.holder].role, "in service", where);
  assert.match(after.boards[otherBoard(after.holder)].role, /^(dormant|off|dead)$/, where);
  assert.equal(after.primary, after.holder, where);
  host.offer("4");
  const result = await host.upgrade(next, "4", true);
  assert.equal(result.outcome, "committed", `${where}: ${JSON.stringify(result)}`);
}

test("a reboot with a disk that is full brings the primary back into service all the same", async () => {
  const { host, system } = await serving("1", "2");
  await system.close();
  host.reboot();
  host.journalFails = () => true;
  host.systemFileFails = () => true;
  const next = host.daemon();
  await host.settle(next);
  assert.match(await host.summary(next), /b: in service 2/);
  assert.ok(host.troubles.length > 0, "somebody was told");
  await assert.rejects(host.upgrade(next, "3"), /no space left/);

  host.journalFails = () => false;
  host.systemFileFails = () => false;
  assert.equal((await host.upgrade(next, "3")).outcome, "committed");
  const stories = host.records.filter(({ event }) => event === "story-began").map(({ story }) => story);
  assert.deepEqual(stories.slice(-2), ["000003-restart", "000004-upgrade"], "what was kept has been written");
});

test("a crash in probation, a dead board and a full disk: the next daemon takes the service back", async () => {
  const { host, system } = await serving("1", "2");
  at(host, { phase: "probation" }, () => void system.close());
  await host.upgrade(system, "3").catch(() => undefined);
  assert.equal(host.service.holder, "a");
  host.boards.die("a");
  host.journalFails = () => true;
  const next = host.daemon();
  await host.settle(next);
  assert.equal(await host.summary(next), "a: off -, b: in service 2");
});

test("the primary does not come back after a reboot: good software on the other board serves", async () => {
  const { host, system } = await serving("1", "2");
  await system.close();
  host.reboot();
  host.boards.faults.set("2", { diesAtBoot: { times: 9 } });
  const next = host.daemon();
  await host.settle(next);
  assert.equal(await host.summary(next), "a: in service 1, b: off 2");
  assert.equal((await next.status()).primary, "a");
  assert.equal(host.state.slots.b?.mark, "good", "that it did not boot once is no verdict on its slot");
});
