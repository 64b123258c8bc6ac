import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedSlot } from "../slot/simulated.ts";
import { SimulatedDelivery, simulatedBundle } from "./simulated.ts";

const ignore = (): void => undefined;
const signal = new AbortController().signal;

test("a simulated slot remembers what was installed", async () => {
  const slot = new SimulatedSlot("a");
  const seen: number[] = [];
  const content = await slot.install(simulatedBundle("2.0"), ({ bytes }) => seen.push(bytes), signal);
  assert.equal(content.version, "2.0");
  assert.equal(content.images["kernel"], "/simulated/a/kernel");
  assert.equal(content.kernelArguments, "quiet");
  assert.equal(seen.at(-1), 2000);
  assert.equal(slot.content, content);
});

test("it refuses what is too large before anything is touched", async () => {
  const slot = new SimulatedSlot("a", 1500);
  await assert.rejects(slot.install(simulatedBundle("2.0"), ignore, signal), { code: "bundle-too-large" });
  assert.equal(slot.installations, 0);
});

test("it fails at a byte, or hangs there until it is cancelled", async () => {
  const slot = new SimulatedSlot("a");
  await slot.install(simulatedBundle("1.0"), ignore, signal);
  slot.fault = { kind: "fail", atByte: 1000, code: "slot-write-failed" };
  const seen: number[] = [];
  const failing = slot.install(simulatedBundle("2.0"), ({ bytes }) => seen.push(bytes), signal);
  await assert.rejects(failing, { code: "slot-write-failed" });
  assert.equal(seen.at(-1), 800);
  assert.equal(slot.content, undefined);
  slot.fault = { kind: "hang", atByte: 0 };
  const stop = new AbortController();
  const hanging = slot.install(simulatedBundle("2.0"), ignore, stop.signal);
  stop.abort(new Error("cancelled"));
  await assert.rejects(hanging, /cancelled/);
});

test("a simulated delivery gives what lies at a path, until it is forgotten", async () => {
  const delivery = new SimulatedDelivery();
  const bundle = simulatedBundle("2.0");
  delivery.bundles.set("/good", bundle).set("/bad", "bundle-signature-invalid");
  const acceptance = { compatible: "simulated", floor: null, failedVersions: [], force: false };
  const deliver = (path: string) => delivery.deliver({ kind: "path", path }, acceptance, ignore, signal);
  await assert.rejects(deliver("/bad"), { code: "bundle-signature-invalid" });
  await assert.rejects(deliver("/none"), { code: "bundle-unreadable" });
  const delivered = await deliver("/good");
  assert.equal(await delivery.reopen(delivered.path, delivered.digest, signal), bundle);
  await delivery.forget();
  await assert.rejects(delivery.reopen(delivered.path, delivered.digest, signal), {
    code: "bundle-unreadable",
  });
});
