/**
 * Boards of both kinds in one system, by the real daemon and under load: a device of containers that an upgrade makes one of machines, and
 * back; and one whose board a is a machine and whose board b is a container.
 */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { serviceAddress } from "../../demo/addresses.ts";
import { demoBundle, demoImages, forBothKinds, versions } from "../../demo/bundles.ts";
import type { BuiltImage } from "../../demo/images/build.ts";
import { type Lab, openLab } from "../../demo/lab.ts";
import { type Load, startLoad } from "../../demo/load/load.ts";
import { now, type Plan } from "../../demo/load/request.ts";
import { cutWindow } from "../../demo/load/window.ts";
import type { StoryResult } from "../../src/upgrade/status.ts";
import { whyNoMachines } from "../fixtures/board/host.ts";
import { whyNoContainers } from "../fixtures/container/subject.ts";

const limitMs = 280_000;
const skip = (await whyNoMachines()) || (await whyNoContainers());
const ignore = (): void => undefined;
const plans: readonly Plan[] = [
  { kind: "quick", url: `http://${serviceAddress}/`, intervalMs: 20, timeoutMs: 10_000 },
  { kind: "slow", url: `http://${serviceAddress}/slow`, intervalMs: 2000, timeoutMs: 30_000 },
  { kind: "steady", url: `http://${serviceAddress}/`, intervalMs: 500, timeoutMs: 10_000, keptAlive: true },
];

type OfVersion = (of: { readonly version: string }) => BuiltImage;

function ofVersion(images: readonly BuiltImage[]): OfVersion {
  return ({ version }) => {
    const found = images.find((image) => image.version === version);
    assert.ok(found, `an image of ${version}`);
    return found;
  };
}

async function software(): Promise<Readonly<Record<"machine" | "container", OfVersion>>> {
  const machine = ofVersion(await demoImages(ignore));
  return { machine, container: ofVersion(await demoImages(ignore, "container")) };
}

/** What each board is and does: `a: container, in service`. */
async function boardsOf(lab: Lab, signal: AbortSignal): Promise<string> {
  const { boards } = await lab.device.status(signal);
  return (["a", "b"] as const)
    .map((name) => `${name}: ${boards[name].kind}, ${boards[name].role}`)
    .join("; ");
}

function committed({ outcome, error }: StoryResult): void {
  assert.equal(outcome, "committed", error?.message);
}

/** Nothing of the load failed since then, and it was one. */
async function unharmed(t: TestContext, load: Load, from: number, signal: AbortSignal): Promise<void> {
  const to = now();
  await load.settled(to, signal);
  const { requests, failed, resets, deadlineResets, versions: seen } = cutWindow(load.records, { from, to });
  t.diagnostic(`${requests} requests: ${JSON.stringify(seen)}`);
  assert.ok(requests > 100, `${requests} requests were made`);
  assert.deepEqual({ failed, resets, deadlineResets }, { failed: 0, resets: 0, deadlineResets: 0 });
}

test("an upgrade makes machines of a device of containers, and a rollback leads back to a container", {
  skip,
}, async (t) => {
  const signal = AbortSignal.any([t.signal, AbortSignal.timeout(limitMs)]);
  const { machine, container } = await software();
  await using lab = await openLab(signal, { kinds: "[container, qemu]", probation: "2s" });
  const upgrade = async (image: BuiltImage): Promise<StoryResult> =>
    await lab.device.upgrade(await demoBundle(image, lab.signing, lab.directory, signal), ignore, signal);
  // They say nothing of kinds: they are for what the device usually is.
  committed(await upgrade(container(versions.first)));
  assert.equal(await boardsOf(lab, signal), "a: container, in service; b: container, off");

  await using load = startLoad(plans, (command, args) => lab.namespaces.outside.enter(command, args));
  const from = now();
  committed(await upgrade(container(versions.good)));
  assert.equal(await boardsOf(lab, signal), "a: container, dormant; b: container, in service");
  committed(await upgrade({ ...machine(versions.corrected), meta: { kinds: "qemu;" } }));
  assert.equal(await boardsOf(lab, signal), "a: qemu, in service; b: container, dormant");
  await lab.device.crashDaemon(signal);
  assert.equal(await boardsOf(lab, signal), "a: qemu, in service; b: container, dormant");
  committed(await lab.device.rollback(ignore, signal));
  assert.equal(await boardsOf(lab, signal), "a: qemu, dormant; b: container, in service");
  committed(await lab.device.rollback(ignore, signal));
  assert.equal(await boardsOf(lab, signal), "a: qemu, in service; b: container, dormant");
  await unharmed(t, load, from, signal);
});

test("board a is a machine and board b a container, by bundles for both", { skip }, async (t) => {
  const signal = AbortSignal.any([t.signal, AbortSignal.timeout(limitMs)]);
  const { machine, container } = await software();
  await using lab = await openLab(signal, { kinds: "{ a: qemu, b: container }", probation: "2s" });
  const upgrade = async (image: BuiltImage): Promise<StoryResult> =>
    await lab.device.upgrade(await demoBundle(image, lab.signing, lab.directory, signal), ignore, signal);
  const both = (of: { readonly version: string }): BuiltImage => forBothKinds(machine(of), container(of));
  committed(await upgrade(both(versions.first)));
  assert.equal(await boardsOf(lab, signal), "a: qemu, in service; b: container, off");

  await using load = startLoad(plans, (command, args) => lab.namespaces.outside.enter(command, args));
  const from = now();
  committed(await upgrade(both(versions.good)));
  assert.equal(await boardsOf(lab, signal), "a: qemu, dormant; b: container, in service");
  committed(await upgrade(both(versions.corrected)));
  assert.equal(await boardsOf(lab, signal), "a: qemu, in service; b: container, dormant");
  committed(await lab.device.rollback(ignore, signal));
  assert.equal(await boardsOf(lab, signal), "a: qemu, dormant; b: container, in service");

  const before = await lab.device.status(signal);
  const refused = await upgrade({
    ...container(versions.silent),
    meta: { kinds: "container;" },
  });
  assert.deepEqual([refused.outcome, refused.error?.code], ["rejected", "bundle-kind-refused"]);
  assert.match(refused.error?.message ?? "", /for a container, .* to be a machine$/);
  const after = await lab.device.status(signal);
  assert.deepEqual([after.boards.a.role, after.boards.a.pid], ["dormant", before.boards.a.pid]);
  await unharmed(t, load, from, signal);
});
