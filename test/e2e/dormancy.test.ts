/**
 * Dormancy by the real daemon: containers that are off while they do not hold, and the same after the configuration says otherwise; one that
 * is thawed behind the daemon's back.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { demoBundle } from "../../demo/bundles.ts";
import { type Lab, openLab } from "../../demo/lab.ts";
import { startLoad } from "../../demo/load/load.ts";
import { now, type Plan } from "../../demo/load/request.ts";
import { otherBoard } from "../../src/board/board.ts";
import { ContainerGroup } from "../../src/board/container/container-group.ts";
import type { SystemStatus } from "../../src/upgrade/status.ts";
import { containerImages } from "../fixtures/container/image.ts";
import { whyNoContainers } from "../fixtures/container/subject.ts";

const ignore = (): void => undefined;
const plans: readonly Plan[] = [
  { kind: "quick", url: "http://198.51.100.10/arguments", intervalMs: 50, timeoutMs: 10_000 },
];

async function until(
  lab: Lab,
  right: (status: Pick<SystemStatus, "boards" | "holder" | "story" | "failover">) => boolean,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const status = await lab.device.status(signal);
    if (right(status)) return;
    await sleep(100, undefined, { signal });
  }
}

/** Both boards have software then, the one in service the newer. */
async function installBoth(lab: Lab, signal: AbortSignal): Promise<void> {
  const images = await containerImages(lab.directory);
  for (const version of ["1.0.0", "2.0.0"]) {
    const image = { version, images, kernelArguments: `test.version=${version}` };
    const bundle = await demoBundle(image, lab.signing, lab.directory, signal);
    assert.equal((await lab.device.upgrade(bundle, ignore, signal)).outcome, "committed");
  }
}

test("a board that is off is booted for a rollback, nothing is lost, and lean or warm it sleeps again", {
  skip: await whyNoContainers(),
  timeout: 200_000,
}, async ({ signal }) => {
  await using lab = await openLab(signal, {
    kind: "container",
    probation: "1s",
    dormancy: "off",
    quietMs: 500,
  });
  await installBoth(lab, signal);
  const { holder, boards, failover } = await lab.device.status(signal);
  assert.ok(holder !== null);
  const other = otherBoard(holder);
  assert.deepEqual([boards[other].role, boards[other].version, boards[other].pid], ["off", "1.0.0", null]);
  assert.match(failover.reason ?? "", /^dormancy is off/);

  await using load = startLoad(plans, (command, args) => lab.namespaces.outside.enter(command, args));
  await load.settled(now() + 500, signal);
  assert.equal((await lab.device.rollback(ignore, signal)).outcome, "committed");
  const after = await lab.device.status(signal);
  assert.deepEqual([after.holder, after.boards[holder].role], [other, "off"]);

  // Nobody is put to sleep by the change alone: the other board is booted as a standby, and sleeps.
  await lab.configure({ dormancy: "lean" }, signal);
  await until(lab, ({ failover: found, story }) => found.ready && story === null, signal);
  const lean = await lab.device.status(signal);
  assert.equal(lean.boards[holder].role, "dormant");
  assert.equal((await lab.device.rollback(ignore, signal)).outcome, "committed");
  await lab.configure({ dormancy: "off" }, signal);
  await until(lab, ({ boards: found, story }) => found[other].role === "off" && story === null, signal);
  await load.settled(now() + 500, signal);
  const lost = load.records.filter(({ outcome }) => outcome !== "ok");
  assert.ok(load.records.length > 50);
  assert.deepEqual(lost, []);
});

for (const failover of [true, false])
  test(`a dormant board that somebody else thaws sleeps again; failover: ${failover}`, {
    skip: await whyNoContainers(),
    timeout: 100_000,
  }, async ({ signal }) => {
    await using lab = await openLab(signal, { kind: "container", probation: "1s", failover });
    await installBoth(lab, signal);
    const { holder } = await lab.device.status(signal);
    assert.ok(holder !== null);
    const other = otherBoard(holder);
    const group = new ContainerGroup(`twinboard-${lab.system}-${other}`);
    for (const _ of [1, 2]) {
      assert.equal((await lab.device.status(signal)).boards[other].role, "dormant");
      await group.thaw();
      await until(lab, ({ boards }) => boards[other].role === "dormant", signal);
    }
    assert.equal((await lab.device.status(signal)).holder, holder);
  });
