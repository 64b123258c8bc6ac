/**
 * Crashes in the recovery from a crash: each story is killed at some call, the daemon that recovers it at another, and sometimes the one
 * after that, with and without reboots of the host in between. Chosen by a seed; `TWINBOARD_SEED` sets another.
 */
import { test } from "node:test";
import { maxTries } from "../../src/upgrade/system-file.ts";
import {
  assertSound,
  assertStillUpgrades,
  callsOf,
  kindScenarios,
  perform,
  type Scenario,
  standingScenarios,
  upgradeScenarios,
} from "../fixtures/simulation/crash-scenarios.ts";
import { DeathSwitch } from "../fixtures/simulation/death-switch.ts";
import { Dice, seed } from "../fixtures/simulation/seeded.ts";
import { SimulatedHost } from "../fixtures/simulation/simulated-system.ts";

const runsPerScenario = 200;
/** A recovery makes about so many calls, when it has much to do. */
const recoveryCalls = 60;

const all = [...upgradeScenarios, ...standingScenarios, ...kindScenarios];

for (const [index, scenario] of all.entries()) {
  test(scenario.name, async (context) => {
    context.diagnostic(`TWINBOARD_SEED=${seed}`);
    const dice = new Dice(seed * all.length + index);
    const calls = (await callsOf(scenario)).length;
    for (let run = 1; run <= runsPerScenario; run += 1) await crashTwice(scenario, dice, calls, run);
  });
}

async function crashTwice(scenario: Scenario, dice: Dice, calls: number, run: number): Promise<void> {
  const host = new SimulatedHost(scenario.kinds);
  await scenario.before(host);
  const what = [`TWINBOARD_SEED=${seed}, run ${run}`];
  const kills = 2 + dice.below(2);
  for (let kill = 0; kill < kills; kill += 1) {
    const call = 1 + dice.below(kill === 0 ? calls : recoveryCalls);
    const when = dice.pick<"before" | "after">(["before", "after"]);
    const death = new DeathSwitch({ call, when });
    await perform(host, kill === 0 ? scenario : { act: () => Promise.resolve() }, death);
    what.push(`killed ${when} call ${call}, ${death.calls[call - 1] ?? "which never came"}`);
    if (dice.onceIn(3)) {
      host.reboot();
      what.push("rebooted");
    }
  }
  const next = host.daemon();
  await host.settle(next);
  // A board whose tries were used up by power cuts lets the other one serve.
  const ends =
    what.filter((line) => line === "rebooted").length < maxTries ? scenario.ends : [...scenario.ends, "1"];
  await assertSound(host, next, { ...scenario, ends }, what.join("\n"));
  await next.close();

  const idle = host.daemon();
  await host.settle(idle);
  await assertStillUpgrades(host, idle, what.join("\n"));
}
