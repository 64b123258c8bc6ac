/**
 * The crash matrix: every story, killed before and after every call that it makes to the outside (each journal record, each replacement of
 * `system.json`, each call of a driver), with and without a reboot of the host. Whatever happened, the next daemon brings the system to an
 * end that the table of docs/story.md allows, and the next upgrade works.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  assertSound,
  assertStillUpgrades,
  callsOf,
  perform,
  type Scenario,
  scenarios,
} from "../fixtures/simulation/crash-scenarios.ts";
import { DeathSwitch } from "../fixtures/simulation/death-switch.ts";
import { SimulatedHost } from "../fixtures/simulation/simulated-system.ts";

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

async function crash(scenario: Scenario, death: DeathSwitch, reboot: boolean, where: string): Promise<void> {
  const host = new SimulatedHost(scenario.kinds);
  await scenario.before(host);
  await perform(host, scenario, death);
  const { holder } = host.service;
  if (holder !== null && scenario.holderFails !== true) {
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
