/** The demo's scenes, in order: first installation, an upgrade that is committed, a dormant board, an upgrade that is taken back. */

import { otherBoard } from "../src/board/board.ts";
import type { Outcome } from "../src/upgrade/record.ts";
import type { StoryResult } from "../src/upgrade/status.ts";
import { demoBundle, versions } from "./bundles.ts";
import { type DormantCost, measureDormant } from "./dormant.ts";
import type { BuiltImage } from "./images/build.ts";
import { drainMs, type Lab, serviceAddress } from "./lab.ts";
import { type Load, startLoad } from "./load/load.ts";
import { now, type Plan, type RequestRecord } from "./load/request.ts";
import { cutWindow, type Window } from "./load/window.ts";
import { chapter, command, phaseNarrator, say } from "./narrate.ts";
import { type DemoReport, type UpgradeReport, upgradeReport } from "./report.ts";

const baselineMs = 20_000;
const dormantSeconds = 10;
const afterwardsMs = 2000;
const shownTroubles = 10;

const plans: readonly Plan[] = [
  { kind: "quick", url: `http://${serviceAddress}/`, intervalMs: 20, timeoutMs: 10_000 },
  { kind: "slow", url: `http://${serviceAddress}/slow`, intervalMs: 1000, timeoutMs: 30_000 },
];

/** The outcomes of the two upgrades under load, if all is well. */
export const intended: readonly Outcome[] = ["committed", "rolled-back"];

/** Plays all scenes in the lab. */
export async function play(
  lab: Lab,
  images: readonly BuiltImage[],
  signal: AbortSignal,
): Promise<DemoReport> {
  const bundle = async ({ version }: { readonly version: string }): Promise<string> => {
    const image = images.find((image) => image.version === version);
    if (image === undefined) throw new Error(`no image of version ${version} was built`);
    return await demoBundle(image, lab.signing, lab.directory, signal);
  };
  chapter(`First installation: ${versions.first.version} on a device that has nothing yet`);
  await firstInstallation(lab, await bundle(versions.first), signal);

  chapter("Load: 50 new connections a second, and every second a download that takes about five");
  await using load = startLoad(plans, (command, args) => lab.namespaces.outside.enter(command, args));
  const baseline = await measureBaseline(load, signal);

  chapter(`Upgrade ${versions.first.version} → ${versions.good.version}: good software`);
  const scene = { lab, load, baseline, signal };
  const committed = await upgradeUnderLoad(scene, await bundle(versions.good));

  chapter("The board that was relieved is dormant: it keeps its memory, and uses no processor time");
  const dormant = await dormantBoard(lab, signal);

  chapter(
    `Upgrade ${versions.good.version} → ${versions.bad.version}: its /healthz fails once it is in service`,
  );
  const takenBack = await upgradeUnderLoad(scene, await bundle(versions.bad));
  return { upgrades: [committed, takenBack], dormant };
}

async function firstInstallation(lab: Lab, bundle: string, signal: AbortSignal): Promise<void> {
  command(`twinboard upgrade ${bundle}`);
  const result = await lab.device.upgrade(bundle, phaseNarrator("first installation"), signal);
  if (result.outcome !== "committed")
    throw new Error(`the first installation failed: ${explanation(result)}`);
}

async function measureBaseline(load: Load, signal: AbortSignal): Promise<Window> {
  say(`  measuring for ${baselineMs / 1000} s what the clients see when nothing is upgraded`);
  // The first second is the generator's own start.
  const from = now() + 1000;
  const to = from + baselineMs;
  await load.settled(to, signal);
  const window = cutWindow(load.records, { from, to });
  say(`  ${windowLine(window)}`);
  return window;
}

interface Scene {
  readonly lab: Lab;
  readonly load: Load;
  readonly baseline: Window;
  readonly signal: AbortSignal;
}

/** One upgrade, and what the clients saw from its beginning until a little after its end. */
async function upgradeUnderLoad(
  { lab, load, baseline, signal }: Scene,
  bundle: string,
): Promise<UpgradeReport> {
  command(`twinboard upgrade ${bundle}`);
  const narrate = phaseNarrator("upgrade");
  // Of a take-back it is the later one of two drains.
  let drainSince = Number.POSITIVE_INFINITY;
  const from = now();
  const result = await lab.device.upgrade(
    bundle,
    (record) => {
      const since = record.data["takenBackAt"] ?? record.data["takeoverAt"];
      if (typeof since === "number") drainSince = since;
      narrate(record);
    },
    signal,
  );
  const to = now() + afterwardsMs;
  await load.settled(to, signal);
  const window = cutWindow(load.records, { from, to, drainDeadline: drainSince + drainMs });
  say(`  ${explanation(result)}`);
  say(`  ${windowLine(window)}`);
  for (const line of troubles(load.records, from, to)) say(`  ${line}`);
  return upgradeReport(result, window, baseline);
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}

/** The first requests that went wrong, with the time since the upgrade's beginning. */
function troubles(records: readonly RequestRecord[], from: number, to: number): string[] {
  return records
    .filter(({ outcome, scheduledAt }) => outcome !== "ok" && scheduledAt >= from && scheduledAt < to)
    .slice(0, shownTroubles)
    .map(
      ({ kind, outcome, scheduledAt, endedAt, version, detail }) =>
        `${outcome}: ${kind}, began ${seconds(scheduledAt - from)} s, ended ${seconds(endedAt - from)} s ` +
        `after the command, answered by ${version ?? "nobody"}: ${detail}`,
    );
}

function explanation({ outcome, error }: StoryResult): string {
  return error === null ? outcome : `${outcome}: ${error.message}`;
}

function windowLine({ requests, failed, resets, deadlineResets, longestGapMs, versions }: Window): string {
  const answered = Object.entries(versions).map(([version, count]) => `${count} by ${version}`);
  return (
    `clients: ${requests} requests, ${failed} failed, ${resets + deadlineResets} reset; ` +
    `answered ${answered.join(", ")}; longest gap between two answers ${longestGapMs.toFixed(1)} ms`
  );
}

async function dormantBoard(lab: Lab, signal: AbortSignal): Promise<DormantCost> {
  const { holder, boards } = await lab.device.status(signal);
  const name = holder === null ? "a" : otherBoard(holder);
  const { role, pid } = boards[name];
  if (role !== "dormant" || pid === null) throw new Error(`board ${name} is ${role}, not dormant`);
  const cost = await measureDormant(pid, dormantSeconds, signal);
  const mebibytes = (cost.residentBytes / 1024 ** 2).toFixed(0);
  say(
    `  board ${name}, process ${pid}: ${cost.cpuNs} ns in ${cost.seconds.toFixed(1)} s, ${mebibytes} MiB resident`,
  );
  return cost;
}
