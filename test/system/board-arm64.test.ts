/** Machines of the second architecture: arm64, under emulation where the host is of the first. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { chooseAccelerator, refusalOfGuest } from "../../src/board/qemu/accelerator.ts";
import { architectures, hostArchitecture } from "../../src/board/qemu/architecture.ts";
import { arm64Images, whyNoArm64 } from "../fixtures/board/arm64.ts";
import { makeQemuSubject } from "../fixtures/board/qemu-subject.ts";

const skip = await whyNoArm64();
const { arm64 } = architectures;
/** Of emulation on a busy host. */
const bootTimeoutMs = 120_000;

void test("an arm64 machine boots to READY, sleeps without processor time, wakes, runs a hook and stops", {
  skip,
  timeout: 200_000,
}, async (t) => {
  const { signal } = t;
  await using subject = await makeQemuSubject({ architecture: "arm64" }, await arm64Images());
  const { board, software } = subject;
  const began = performance.now();
  // The whole processor: how long the idle class takes on a busy host is no matter of this test.
  await board.start({ ...software({ reports: "2.1" }), priority: "service" }, signal);
  const within = AbortSignal.any([signal, AbortSignal.timeout(bootTimeoutMs)]);
  assert.deepEqual(await board.ready(within), { version: "2.1" });
  t.diagnostic(`READY after ${Math.round(performance.now() - began)} ms`);
  await board.pause(signal);
  const asleep = await board.usage();
  await sleep(1500, undefined, { signal });
  assert.equal((await board.inspect()).state, "dormant");
  assert.ok(asleep !== undefined);
  assert.equal((await board.usage())?.cpuNs, asleep.cpuNs, "0 ns while it sleeps");
  await board.resume(signal);
  assert.equal(await board.runHook("activate", signal), "done");
  assert.equal(await board.runHook("export-state", signal), "absent");
  assert.match((await board.consoleTail(50)).join("\n"), /version 2\.1 is up on aarch64/);
  await board.stop(signal);
  assert.deepEqual(await board.inspect(), { state: "off" });
});

void test("an arm64 machine that panics is known to work no more, and keeps its evidence", {
  skip,
  timeout: 200_000,
}, async ({ signal }) => {
  await using subject = await makeQemuSubject({ architecture: "arm64" }, await arm64Images());
  const { board, software, die } = subject;
  const death = Promise.withResolvers<string>();
  board.subscribe((event) => {
    if (event.type === "died") death.resolve(event.cause);
  });
  await board.start({ ...software(), priority: "service" }, signal);
  await board.ready(AbortSignal.any([signal, AbortSignal.timeout(bootTimeoutMs)]));
  await die("panic");
  // Its kernel has no driver for the device that tells of a panic: it shows as the reset that comes of it.
  assert.equal(await death.promise, "reset");
  assert.equal((await board.inspect()).state, "dead");
});

void test("its test guest answers, and another architecture's processor is never asked for KVM", {
  skip,
  timeout: 60_000,
}, async ({ signal }) => {
  assert.equal(await refusalOfGuest(arm64, "tcg", signal), undefined);
  const foreign = hostArchitecture() === "arm64" ? architectures["x86-64"] : arm64;
  assert.equal((await chooseAccelerator(foreign, "auto", signal)).accelerator, "tcg");
  await assert.rejects(chooseAccelerator(foreign, "kvm", signal), {
    code: "no-kvm",
    message: /processor is/,
  });
});
