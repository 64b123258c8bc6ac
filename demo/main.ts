/**
 * `npm run demo [-- --keep] [-- --json FILE]`: a live service moves from one real machine to another and nobody notices.
 * Exit codes: 0 all as intended, 1 not, 64 usage, 130 ended by Ctrl-C.
 */
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { durationText, tableLines } from "../src/cli/format.ts";
import { phaseNames } from "../src/upgrade/record.ts";
import { demoBundle, demoImages, versions } from "./bundles.ts";
import { program } from "./device.ts";
import { asRoot, inForeground } from "./foreground.ts";
import type { BuiltImage } from "./images/build.ts";
import { type Lab, openLab, serviceAddress } from "./lab.ts";
import { chapter, say } from "./narrate.ts";
import { complaints, type DemoReport, phaseRows, tableRows } from "./report.ts";
import { intended, play } from "./scenes.ts";

interface Options {
  readonly keep: boolean;
  readonly json: string | undefined;
}

function options(): Options {
  const { values } = parseArgs({ options: { keep: { type: "boolean" }, json: { type: "string" } } });
  return { keep: values.keep ?? false, json: values.json };
}

async function main({ keep, json }: Options, signal: AbortSignal): Promise<number> {
  chapter("Set-up: images of three versions, from Debian's kernel, busybox and nginx");
  const images = await demoImages((line) => say(`  ${line}`));
  if (process.getuid?.() !== 0) return asRoot();
  say("  a throw-away signing key, and a lab of two network namespaces: the device, and the outside");
  await using lab = await openLab(signal);
  const startedAt = performance.now();
  const report = await play(lab, images, signal);
  conclude(report, performance.now() - startedAt);
  if (json !== undefined) await writeFile(json, `${JSON.stringify(report, null, 2)}\n`);
  if (keep) await keepLab(lab, images, signal);
  chapter("Taking the lab down");
  return complaints(report, intended).length === 0 ? 0 : 1;
}

function conclude(report: DemoReport, ms: number): void {
  const { upgrades, dormant } = report;
  chapter(`Result, after ${durationText(ms)}`);
  const rows = [...tableLines(tableRows(upgrades)), "", ...tableLines(phaseRows(upgrades, phaseNames))];
  const mebibytes = (dormant.residentBytes / 1024 ** 2).toFixed(1);
  rows.push(
    "",
    `dormant board: ${dormant.cpuNs} ns of processor time in ${dormant.seconds.toFixed(1)} s, ${mebibytes} MiB resident`,
    "",
  );
  for (const row of rows) say(row === "" ? "" : `  ${row}`);
  const wrong = complaints(report, intended);
  if (wrong.length === 0)
    say("Nobody noticed: no request failed, none was reset, and every outcome is as intended.");
  else say(`NOT AS INTENDED:\n${wrong.map((line) => `  - ${line}`).join("\n")}`);
}

async function keepLab(lab: Lab, images: readonly BuiltImage[], signal: AbortSignal): Promise<void> {
  const corrected = images.find(({ version }) => version === versions.corrected.version);
  if (corrected === undefined) throw new Error("no corrected image was built");
  const bundle = await demoBundle(corrected, lab.signing, lab.directory, signal);
  const [command, args] = lab.namespaces.outside.enter("curl", ["-i", `http://${serviceAddress}/`]);
  chapter("The lab is kept. Play with it from another terminal, as root");
  say(`  a client:  ${command} ${args.join(" ")}`);
  say(`  status:    ${program} status --socket ${lab.socket}`);
  say(`  upgrade:   ${program} upgrade ${bundle} --socket ${lab.socket}`);
  say(`  the end:   Ctrl-C here`);
  if (!signal.aborted) await once(signal, "abort");
}

await inForeground(
  "demo",
  "usage: npm run demo [-- --keep] [-- --json FILE]",
  async (signal) => await main(options(), signal),
);
