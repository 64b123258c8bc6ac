/** Whether the demo kept what it promises. */
import type { Outcome } from "../src/upgrade/record.ts";
import { mostRepeated } from "./load/plans.ts";
import type { DemoReport, UpgradeReport } from "./report.ts";

/** What is not as it was intended; nothing if all is well. */
export function complaints(report: DemoReport): string[] {
  const { upgrades, rollback, failover, standby, refused, dormant } = report;
  return [
    ...unharmed("the upgrade", upgrades[0], "committed"),
    ...unharmed("the rollback", rollback, "committed"),
    // What a board had begun when it was killed is lost with it.
    ...outcomeOf("the failover", failover, "committed"),
    ...unharmed("the standby after it", standby, "committed"),
    ...unharmed("the upgrade that is taken back", upgrades[1], "rolled-back"),
    ...unharmed("the upgrade that is refused", refused, "failed"),
    ...others(refused),
    ...(dormant.cpuNs === 0 ? [] : [`the dormant board used ${dormant.cpuNs} ns of processor time`]),
    ...wholeLoad(report),
  ];
}

function outcomeOf(name: string, story: UpgradeReport | undefined, outcome: Outcome): string[] {
  if (story?.outcome === outcome) return [];
  return [`${name} was to be ${outcome}, and is ${story?.outcome ?? "missing"}`];
}

function unharmed(name: string, story: UpgradeReport | undefined, outcome: Outcome): string[] {
  const found = outcomeOf(name, story, outcome);
  if (story === undefined) return found;
  const { requests, failed, resets, deadlineResets } = story;
  if (requests === 0) found.push(`${name}: no requests were made`);
  if (failed > 0) found.push(`${name}: ${failed} requests failed`);
  if (resets + deadlineResets > 0) found.push(`${name}: ${resets + deadlineResets} requests were reset`);
  return found;
}

/** A board that was refused has answered nobody. */
function others({ from, answeredBy }: DemoReport["refused"]): string[] {
  return Object.entries(answeredBy)
    .filter(([version]) => version !== from)
    .map(([version, count]) => `${count} requests were answered by ${version} while it was refused`);
}

/** Also between the acts. */
function wholeLoad({ load, keptAlive }: DemoReport): string[] {
  const lost = load.failed + load.resets;
  return [
    ...(lost === 0 ? [] : [`${load.failed} requests of the whole load failed, ${load.resets} were reset`]),
    ...(keptAlive.requests === 0 ? ["no requests were made on kept-alive connections"] : []),
    ...(keptAlive.repeated > mostRepeated(keptAlive.closedEarly)
      ? [
          `${keptAlive.repeated} requests had to be sent twice, and ${keptAlive.closedEarly} connections were closed`,
        ]
      : []),
  ];
}
