/** The daemon gets SIGKILL in the phases of real upgrades of real boards under load: no request is lost, and each story ends as its row says. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { serviceAddress } from "../../demo/addresses.ts";
import { demoBundle, demoImages, versions } from "../../demo/bundles.ts";
import { openLab } from "../../demo/lab.ts";
import { startLoad } from "../../demo/load/load.ts";
import { now, type Plan } from "../../demo/load/request.ts";
import { cutWindow } from "../../demo/load/window.ts";
import type { BoardKind } from "../../src/board/kind.ts";
import { type PhaseName, phaseNames } from "../../src/upgrade/record.ts";
import { whyNoContainers } from "../fixtures/container/subject.ts";

const limitMs = 580_000;
const reason = process.getuid?.() === 0 ? false : "needs root: network namespaces, cards, boards";

const plans: readonly Plan[] = [
  { kind: "quick", url: `http://${serviceAddress}/`, intervalMs: 20, timeoutMs: 10_000 },
  { kind: "slow", url: `http://${serviceAddress}/slow`, intervalMs: 2000, timeoutMs: 30_000 },
];

/** Those in which a machine is ended, begun, asked to take over, and laid to sleep: an upgrade of emulated ones takes half a minute. */
const ofMachines: readonly PhaseName[] = ["vacate", "boot", "takeover", "commit"];

for (const [kind, phases, skip] of [
  ["qemu", ofMachines, reason],
  ["container", phaseNames, reason || (await whyNoContainers())],
] as const)
  test(
    `a daemon that is killed in any phase loses no request, and the next one brings the upgrade to its end (${kind})`,
    {
      skip,
    },
    async (t) => await killInPhases(t, kind, phases),
  );

async function killInPhases(t: TestContext, kind: BoardKind, phases: readonly PhaseName[]): Promise<void> {
  const signal = AbortSignal.any([t.signal, AbortSignal.timeout(limitMs)]);
  const images = await demoImages(() => undefined, kind);
  await using lab = await openLab(signal, { kind, probation: "2s" });
  const bundle = async (version: string): Promise<string> => {
    const image = images.find((one) => one.version === version);
    assert.ok(image, `an image of ${version}`);
    return await demoBundle(image, lab.signing, lab.directory, signal);
  };
  const first = await lab.device.upgrade(await bundle(versions.first.version), () => undefined, signal);
  assert.equal(first.outcome, "committed");
  const second = await bundle(versions.good.version);

  await using load = startLoad(plans, (command, args) => lab.namespaces.outside.enter(command, args));
  const from = now();
  const machines = new Set<number | null>();
  for (const phase of phases) {
    const crashes: Promise<void>[] = [];
    const result = await lab.device.upgrade(
      second,
      (record) => {
        if (record.event !== "phase-began" || record.phase !== phase || crashes.length > 0) return;
        crashes.push(lab.device.crashDaemon(signal));
      },
      signal,
    );
    await Promise.all(crashes);
    assert.equal(crashes.length, 1, `the daemon was killed in ${phase}`);
    assert.equal(result.outcome, "committed", `killed in ${phase}: ${JSON.stringify(result)}`);
    await assertTwoBoards(phase);
  }
  const to = now();
  await load.settled(to, signal);
  const { requests, failed, resets, deadlineResets } = cutWindow(load.records, { from, to });
  t.diagnostic(
    `${requests} requests over ${phases.length} upgrades, ${machines.size} different board processes`,
  );
  assert.ok(requests > 1000, `${requests} requests were made`);
  assert.deepEqual({ failed, resets, deadlineResets }, { failed: 0, resets: 0, deadlineResets: 0 });

  /** One board serves, the other sleeps: the killed daemon left no third machine, and none that nobody knows. */
  async function assertTwoBoards(phase: PhaseName): Promise<void> {
    const { boards, holder, stuck } = await lab.device.status(signal);
    const roles = [boards.a.role, boards.b.role].toSorted();
    assert.deepEqual(
      { roles, stuck },
      { roles: ["dormant", "in service"], stuck: null },
      `killed in ${phase}`,
    );
    assert.ok(holder !== null && boards[holder].version === versions.good.version);
    for (const { pid } of [boards.a, boards.b]) machines.add(pid);
  }
}
