/**
 * `npm run demo [-- --boards qemu|container] [--keep] [--json FILE] [--html FILE]`: a live service moves from one real board to another and
 * nobody notices.
 * Exit codes: 0 all as intended, 1 not, 64 usage, 130 ended by Ctrl-C.
 */
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { durationText, tableLines } from "../src/cli/format.ts";
import { hosts, serviceAddress } from "./addresses.ts";
import { type Bundles, demoBundles, demoImages, versions } from "./bundles.ts";
import { program } from "./device.ts";
import { asRoot, inForeground, UsageError } from "./foreground.ts";
import type { BoardKind } from "./images/rootfs.ts";
import { type Lab, openLab } from "./lab.ts";
import { startLoad } from "./load/load.ts";
import { fullLoad } from "./load/plans.ts";
import type { RequestRecord } from "./load/request.ts";
import { chapter, say } from "./narrate.ts";
import { demoPage } from "./page.ts";
import { type Acts, type DemoReport, demoReport } from "./report.ts";
import { baseline } from "./scenes/baseline.ts";
import { dormantBoard } from "./scenes/dormant.ts";
import { failover } from "./scenes/failover.ts";
import { firstInstallation } from "./scenes/first-installation.ts";
import { rollback } from "./scenes/rollback.ts";
import { standby } from "./scenes/standby.ts";
import { traditional } from "./scenes/traditional.ts";
import { upgrade } from "./scenes/upgrade.ts";
import { factRows, phaseRows, storyRows } from "./tables.ts";
import { complaints } from "./verdict.ts";

/** For a board that never gets ready: several times what a boot takes, also under emulation. */
const impatient = { bootTimeout: "15s", attempts: 1 } as const;
const baselineMs = 15_000;
const dormantSeconds = 10;

const { first, good, bad, silent, corrected } = versions;

interface Options {
  readonly boards: BoardKind;
  readonly keep: boolean;
  readonly json: string | undefined;
  readonly html: string | undefined;
}

function options(): Options {
  const { values } = parseArgs({
    options: {
      boards: { type: "string" },
      keep: { type: "boolean" },
      json: { type: "string" },
      html: { type: "string" },
    },
  });
  const { boards = "qemu", keep = false, json, html } = values;
  if (boards !== "qemu" && boards !== "container")
    throw new UsageError(`there are no boards of the kind ${boards}: say qemu or container`);
  return { boards, keep, json, html };
}

async function main({ boards, keep, json, html }: Options, signal: AbortSignal): Promise<number> {
  const sources = boards === "qemu" ? "kernel, busybox and nginx" : "busybox and nginx, for containers";
  chapter(`Set-up: images of five versions, from Debian's ${sources}`);
  const images = await demoImages((line) => say(`  ${line}`), boards);
  if (process.getuid?.() !== 0) return asRoot();
  say("  a throw-away signing key, and a lab of two network namespaces: the device, and the outside");
  await using lab = await openLab(signal, { kind: boards });
  const bundles = await demoBundles(images, lab.signing, lab.directory, signal);
  const startedAt = performance.now();
  const { acts, records } = await play(lab, bundles, signal);
  const report = demoReport(acts, records);
  const wrong = conclude(report, performance.now() - startedAt);
  const { system } = await lab.device.status(signal);
  if (json !== undefined) await writeFile(json, `${JSON.stringify(report, null, 2)}\n`);
  if (html !== undefined)
    await writeFile(html, demoPage({ system, acts, records, report, complaints: wrong }));
  if (wrong.length > 0) {
    say(`The daemon's log, its journal and the consoles are kept in ${await lab.keepLogs()}`);
    say(["The device's connections:", ...(await lab.openFlows())].join("\n  "));
  }
  if (keep) await keepLab(lab, bundles(corrected), signal);
  chapter("Taking the lab down");
  return wrong.length === 0 ? 0 : 1;
}

interface Played {
  readonly acts: Acts;
  /** Of the whole load. */
  readonly records: readonly RequestRecord[];
}

/** The demo's story. */
async function play(lab: Lab, bundles: Bundles, signal: AbortSignal): Promise<Played> {
  chapter(`First installation: ${first.version} on a device that has nothing yet`);
  await firstInstallation(lab, bundles(first), signal);

  chapter("Load: 50 new connections a second, downloads of five seconds, and clients that keep theirs");
  await using load = startLoad(fullLoad(hosts), (command, args) =>
    lab.namespaces.outside.enter(command, args),
  );
  const stage = { lab, load, signal };
  const before = await baseline(stage, baselineMs);

  chapter(`Upgrade ${first.version} → ${good.version}: good software`);
  const committed = await upgrade(stage, bundles(good));

  chapter("The board that was relieved is dormant: it keeps its memory, and uses no processor time");
  const dormant = await dormantBoard(lab, dormantSeconds, signal);

  chapter(`Rollback ${good.version} → ${first.version}: somebody asks for the previous software`);
  const back = await rollback(stage);

  chapter(
    `Failover ${first.version} → ${good.version}: the board in service is killed; nobody has to do anything`,
  );
  const survived = await failover(stage);
  say("  the other board boots again, for the next time");
  const again = await standby(stage, survived.records.at(-1)?.seq ?? 0);

  chapter(`Upgrade ${good.version} → ${bad.version}: its /healthz fails once it is in service`);
  const takenBack = await upgrade(stage, bundles(bad));

  chapter(`Upgrade ${good.version} → ${silent.version}: it never says that it is ready`);
  say(`  the daemon is restarted, to wait for a board no longer than ${impatient.bootTimeout}`);
  await lab.configure(impatient, signal);
  const refused = await upgrade(stage, bundles(silent));
  await load[Symbol.asyncDispose]();

  chapter("The traditional way: one board is stopped, installed and booted, under the same load");
  const contrast = await traditional(lab, [bundles(first), bundles(good)], signal);

  const acts = {
    baseline: before,
    committed,
    rollback: back,
    failover: survived,
    standby: again,
    takenBack,
    refused,
    dormant,
    traditional: contrast,
  };
  return { acts, records: load.records };
}

/** Returns what is not as it was intended. */
function conclude(report: DemoReport, ms: number): string[] {
  chapter(`Result, after ${durationText(ms)}`);
  for (const rows of [storyRows(report), phaseRows(report), factRows(report)])
    say(
      `${tableLines(rows)
        .map((line) => `  ${line}`)
        .join("\n")}\n`,
    );
  const wrong = complaints(report);
  if (wrong.length === 0)
    say("Nobody noticed: no request failed, none was reset, and every outcome is as intended.");
  else say(`NOT AS INTENDED:\n${wrong.map((line) => `  - ${line}`).join("\n")}`);
  return wrong;
}

async function keepLab(lab: Lab, bundle: string, signal: AbortSignal): Promise<void> {
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
  "usage: npm run demo [-- --boards qemu|container] [--keep] [--json FILE] [--html FILE]",
  async (signal) => await main(options(), signal),
);
