/**
 * The crash matrix: every story, killed before and after every call that it makes to the outside (each journal record, each replacement of
 * `system.json`, each call of a driver), with and without a reboot of the host. Whatever happened, the next daemon brings the system to an
 * end that docs/story.md's table allows, and the next upgrade works.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { boardNames, otherBoard } from "../../src/board/board.ts";
import type { System } from "../../src/upgrade/system.ts";
import { DeathSwitch } from "../fixtures/simulation/death-switch.ts";
import { SimulatedHost } from "../fixtures/simulation/simulated-system.ts";

interface Scenario {
  readonly name: string;
  /** What happened before, with daemons that live. */
  readonly before: (host: SimulatedHost) => Promise<void>;
  /** What the daemon is doing when it is killed. */
  readonly act: (host: SimulatedHost, system: System) => Promise<unknown>;
  /** Versions that may be in service at the end; `null`: nobody serves. */
  readonly ends: readonly (string | null)[];
}

async function install(host: SimulatedHost, ...versions: string[]): Promise<void> {
  const system = host.daemon();
  await host.settle(system);
  for (const version of versions) {
    const result = await host.upgrade(system, version);
    assert.equal(result.outcome, "committed", JSON.stringify(result));
  }
  await system.close();
}

/** Version 2 turns unhealthy as soon as it is in probation, on whichever board it is. */
function unhealthyInProbation(host: SimulatedHost): void {
  host.onRecord = (record) => {
    if (record.event === "phase-began" && record.phase === "probation" && record.kind === "upgrade") {
      host.health.setUnhealthy("b");
    }
  };
}

const scenarios: Scenario[] = [
  {
    name: "first installation",
    before: () => Promise.resolve(),
    act: (host, system) => host.upgrade(system, "1"),
    ends: ["1", null],
  },
  {
    name: "upgrade",
    before: (host) => install(host, "1"),
    act: (host, system) => host.upgrade(system, "2"),
    ends: ["1", "2"],
  },
  {
    name: "upgrade over a dormant board",
    before: (host) => install(host, "1", "2"),
    act: (host, system) => host.upgrade(system, "3"),
    ends: ["2", "3"],
  },
  {
    name: "upgrade taken back in probation",
    before: (host) => install(host, "1"),
    act: (host, system) => {
      unhealthyInProbation(host);
      return host.upgrade(system, "2");
    },
    ends: ["1"],
  },
  {
    name: "upgrade that dies while it boots",
    before: async (host) => {
      await install(host, "1");
      host.boards.faults.set("2", { diesAtBoot: { times: 9 } });
    },
    act: (host, system) => host.upgrade(system, "2"),
    ends: ["1"],
  },
  {
    name: "rollback",
    before: (host) => install(host, "1", "2"),
    act: (host, system) => host.rollback(system),
    ends: ["1", "2"],
  },
  {
    name: "restart after a reboot",
    before: async (host) => {
      await install(host, "1", "2");
      host.reboot();
    },
    act: () => Promise.resolve(),
    ends: ["2"],
  },
];

for (const scenario of scenarios) {
  test(scenario.name, async (context) => {
    const calls = await callsOf(scenario);
    let runs = 0;
    for (let call = 1; call <= calls.length; call += 1) {
      for (const when of ["before", "after"] as const) {
        for (const reboot of [false, true]) {
          const where = `killed ${when} call ${call}, ${calls[call - 1]}${reboot ? ", then a reboot" : ""}`;
          await crash(scenario, new DeathSwitch({ call, when }), reboot, where);
          runs += 1;
        }
      }
    }
    context.diagnostic(`${calls.length} calls, ${runs} crashes`);
  });
}

async function callsOf(scenario: Scenario): Promise<string[]> {
  const host = new SimulatedHost();
  const witness = new DeathSwitch();
  await scenario.before(host);
  await perform(host, scenario, witness);
  return witness.calls;
}

async function perform(host: SimulatedHost, scenario: Scenario, death: DeathSwitch): Promise<void> {
  const system = host.daemon(death);
  const work = host.settle(system).then(() => scenario.act(host, system));
  // A dead daemon's work never ends, and what it rejects with is nobody's business any more.
  work.catch(() => undefined);
  await host.clock.runUntil(Promise.race([work, death.died]));
}

async function crash(scenario: Scenario, death: DeathSwitch, reboot: boolean, where: string): Promise<void> {
  const host = new SimulatedHost();
  await scenario.before(host);
  await perform(host, scenario, death);
  const { holder } = host.service;
  if (holder !== null) {
    assert.equal(
      host.boards.get(holder)?.condition.state,
      "running",
      `${where}: the holder serves on without a daemon`,
    );
  }
  if (reboot) host.reboot();

  const next = host.daemon();
  await host.settle(next);
  await assertSound(host, next, scenario, where);
  await next.close();

  const recordsBefore = host.records.length;
  const idle = host.daemon();
  await host.settle(idle);
  assert.equal(host.records.length, recordsBefore, `${where}: a second recovery finds nothing to do`);
  await assertStillUpgrades(host, idle, where);
}

async function assertSound(
  host: SimulatedHost,
  system: System,
  scenario: Scenario,
  where: string,
): Promise<void> {
  const last = host.records
    .slice(-12)
    .map(({ story, phase, event, data }) => `${story} ${phase} ${event} ${JSON.stringify(data)}`);
  const told = [where, ...last].join("\n");
  const status = await system.status();
  assert.equal(status.story, null, told);
  const ended = host.records.filter((record) => record.event === "story-ended").map((record) => record.story);
  assert.deepEqual(
    [...new Set(host.records.map((record) => record.story))].toSorted(),
    ended.toSorted(),
    told,
  );
  assert.equal(
    new Set(host.boards.started).size,
    host.boards.started.length,
    `an instance was started twice: ${told}`,
  );
  assert.deepEqual(host.troubles, [], told);

  const { holder, primary } = status;
  const version = holder === null ? null : (host.boards.get(holder)?.start.version ?? null);
  assert.ok(scenario.ends.includes(version), `version ${version} serves: ${told}`);
  assert.equal(primary, holder, told);
  if (holder === null) {
    for (const name of boardNames) assert.equal(status.boards[name].role, "off", told);
    return;
  }
  assert.equal(status.boards[holder].role, "in service", told);
  assert.equal(status.boards[holder].slot, "good", told);
  assert.equal(status.boards[holder].version, version, told);
  assert.match(status.boards[otherBoard(holder)].role, /^(dormant|off|dead)$/, told);
  assert.equal(status.draining, null, told);
}

async function assertStillUpgrades(host: SimulatedHost, system: System, where: string): Promise<void> {
  host.onRecord = undefined;
  host.boards.faults.clear();
  for (const name of boardNames) host.health.setHealthy(name);
  const result = await host.upgrade(system, "3", true);
  assert.equal(result.outcome, "committed", `${where}: ${JSON.stringify(result)}`);
}
