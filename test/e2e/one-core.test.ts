/** All of it on one core: daemon, both boards, their clients and this test itself. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { demoBundle } from "../../demo/bundles.ts";
import { openLab } from "../../demo/lab.ts";
import { startLoad } from "../../demo/load/load.ts";
import { now, type Plan } from "../../demo/load/request.ts";
import { run } from "../../src/system/process.ts";
import { containerImages } from "../fixtures/container/image.ts";
import { whyNoContainers } from "../fixtures/container/subject.ts";

const ignore = (): void => undefined;
const core = 0;
const plans: readonly Plan[] = [
  { kind: "quick", url: "http://198.51.100.10/arguments", intervalMs: 50, timeoutMs: 10_000 },
];

/** Cores that a process may use (proc(5), `Cpus_allowed_list`). */
async function allowed(pid: number): Promise<string> {
  return /^Cpus_allowed_list:\s*(\S+)$/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1] ?? "";
}

test("on a single core a system is installed, upgraded and rolled back under load, and nothing is lost", {
  skip: await whyNoContainers(),
  timeout: 250_000,
}, async ({ signal }) => {
  // Whatever is begun from here on inherits it (sched_setaffinity(2)).
  await run("taskset", ["-a", "-p", "-c", String(core), String(process.pid)]);
  await using lab = await openLab(signal, { kind: "container", probation: "1s", quietMs: 500, core });
  const images = await containerImages(lab.directory);
  const upgrade = async (version: string): Promise<void> => {
    const image = { version, images, kernelArguments: `test.version=${version}` };
    const bundle = await demoBundle(image, lab.signing, lab.directory, signal);
    const result = await lab.device.upgrade(bundle, ignore, signal);
    assert.equal(result.outcome, "committed", JSON.stringify(result));
  };
  await upgrade("1.0.0");
  await using load = startLoad(plans, (command, args) => lab.namespaces.outside.enter(command, args));
  await load.settled(now() + 500, signal);
  await upgrade("2.0.0");
  const { holder, boards } = await lab.device.status(signal);
  assert.ok(holder !== null);
  for (const { confinement } of Object.values(boards)) assert.equal(confinement.cores, String(core));
  const pids = [lab.device.pid, ...Object.values(boards).map(({ pid }) => pid ?? 0)];
  assert.deepEqual(
    await Promise.all(pids.map(allowed)),
    pids.map(() => String(core)),
  );
  assert.equal((await lab.device.rollback(ignore, signal)).outcome, "committed");
  await load.settled(now() + 500, signal);
  assert.ok(load.records.length > 50);
  assert.deepEqual(
    load.records.filter(({ outcome }) => outcome !== "ok"),
    [],
  );
});
