/** A program of the integrator's and a disk of the host follow the service through upgrades of real machines, by the real daemon. */
import assert from "node:assert/strict";
import { readdir, readFile, readlink, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { demoBundle, demoImages, versions } from "../../demo/bundles.ts";
import { type Lab, openLab } from "../../demo/lab.ts";
import type { BoardName } from "../../src/board/board.ts";
import { makeLoopDisk, whyNoLoopDevices } from "../fixtures/device/loop-disk.ts";

const limitMs = 580_000;
const program = resolve(import.meta.dirname, "../../examples/exec-service/relay-service");
const ignore = (): void => undefined;

async function bundleOf(lab: Lab, version: string, signal: AbortSignal): Promise<string> {
  const image = (await demoImages(ignore)).find((one) => one.version === version);
  assert.ok(image, `an image of ${version}`);
  return await demoBundle(image, lab.signing, lab.directory, signal);
}

/** Whether a process has a file of this name open. */
async function hasOpen(pid: number | null, name: string): Promise<boolean> {
  const fds = await readdir(`/proc/${pid}/fd`).catch(() => []);
  const paths = await Promise.all(fds.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => "")));
  return paths.some((path) => path.endsWith(`/${name}`));
}

test("a relay and a disk are the holder's after an installation, an upgrade, a crash of the daemon and a rollback", {
  skip: await whyNoLoopDevices(),
}, async (t) => {
  const signal = AbortSignal.any([t.signal, AbortSignal.timeout(limitMs)]);
  await using disk = await makeLoopDisk(8 * 1024 * 1024);
  await using lab = await openLab(signal);
  const [select, enable] = [join(disk.directory, "select"), join(disk.directory, "enable")];
  for (const output of [select, enable]) await writeFile(output, "0\n");
  const file = join(lab.directory, "demo.yaml");
  const more = `  - { name: relay, exec: [${program}, --select, ${select}, --enable, ${enable}] }
  - { name: log, device: { virtio-blk: ${disk.path} } }
`;
  const without = await readFile(file, "utf8");
  await writeFile(file, without.replace(/^health:/m, `${more}health:`));
  await lab.device.restartDaemon(signal);

  const follows = async (): Promise<BoardName> => {
    const { holder, boards, troubles } = await lab.device.status(signal);
    assert.ok(holder !== null);
    assert.deepEqual(troubles, []);
    assert.deepEqual((await readFile(enable, "utf8")).trim(), "1");
    assert.equal((await readFile(select, "utf8")).trim(), holder === "a" ? "0" : "1");
    for (const name of ["a", "b"] as const)
      assert.equal(await hasOpen(boards[name].pid, "log"), name === holder, `the disk and board ${name}`);
    return holder;
  };
  const [first, good] = [versions.first.version, versions.good.version];
  await lab.device.upgrade(await bundleOf(lab, first, signal), ignore, signal);
  const one = await follows();
  const { outcome } = await lab.device.upgrade(await bundleOf(lab, good, signal), ignore, signal);
  assert.equal(outcome, "committed");
  const two = await follows();
  assert.notEqual(two, one);
  await lab.device.crashDaemon(signal);
  assert.equal(await follows(), two);
  await lab.device.rollback(ignore, signal);
  assert.equal(await follows(), one);

  // A configuration that has them no more: both are let go of, while the board serves on.
  await writeFile(file, without);
  await lab.device.restartDaemon(signal);
  const { holder, boards } = await lab.device.status(signal);
  assert.equal(holder, one);
  assert.equal(await hasOpen(boards[one].pid, "log"), false);
  assert.deepEqual([await readFile(select, "utf8"), await readFile(enable, "utf8")], ["0\n", "0\n"]);
});
