/** Boards that are containers, by the real daemon: installed, upgraded, rolled back, and found again after a crash of the daemon. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { demoBundle } from "../../demo/bundles.ts";
import { openLab } from "../../demo/lab.ts";
import { run } from "../../src/system/process.ts";
import { containerImages } from "../fixtures/container/image.ts";
import { whyNoContainers } from "../fixtures/container/subject.ts";

const ignore = (): void => undefined;

test("a system of containers is installed, upgraded and rolled back, also over a crash of its daemon", {
  skip: await whyNoContainers(),
  timeout: 200_000,
}, async ({ signal }) => {
  await using lab = await openLab(signal, { kind: "container", probation: "1s" });
  const images = await containerImages(lab.directory);
  const bundleOf = async (version: string): Promise<string> => {
    const image = { version, images, kernelArguments: `test.version=${version}` };
    return await demoBundle(image, lab.signing, lab.directory, signal);
  };
  /** What the outside gets of the service. */
  const answer = async (): Promise<string> => {
    const words = ["-s", "-m", "5", "http://198.51.100.10/arguments"];
    const [command, args] = lab.namespaces.outside.enter("curl", words);
    return (await run(command, args, { signal })).stdout.toString();
  };
  const first = await lab.device.upgrade(await bundleOf("1.0.0"), ignore, signal);
  assert.equal(first.outcome, "committed", JSON.stringify(first));
  assert.equal(await answer(), "test.version=1.0.0");
  assert.equal((await lab.device.upgrade(await bundleOf("2.0.0"), ignore, signal)).outcome, "committed");
  assert.equal(await answer(), "test.version=2.0.0");
  await lab.device.crashDaemon(signal);
  assert.equal(await answer(), "test.version=2.0.0");
  await lab.device.rollback(ignore, signal);
  assert.equal(await answer(), "test.version=1.0.0");
  const { boards, holder } = await lab.device.status(signal);
  assert.ok(holder !== null);
  assert.equal(boards[holder === "a" ? "b" : "a"].role, "dormant");
});
