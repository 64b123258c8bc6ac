/** A machine that is laid to sleep lean gives back what its guest can spare, and serves when it wakes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MachinesLab } from "../fixtures/machines/lab.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces and cards need root";
const mebi = 1024 * 1024;

test("a lean machine keeps less than the same one awake, and has its memory again when it wakes", {
  skip,
}, async (t) => {
  const signal = AbortSignal.any([t.signal, AbortSignal.timeout(200_000)]);
  await using lab = await MachinesLab.open(signal, (line) => t.diagnostic(line), "qemu", "lean");
  const [awake, asleep] = [await lab.usage("a"), await lab.usage("b")];
  assert.ok(awake !== null && asleep !== null);
  t.diagnostic(`awake ${awake.residentBytes} bytes, asleep ${asleep.residentBytes}`);
  assert.ok(asleep.residentBytes < awake.residentBytes - 20 * mebi);
  await lab.wake("b", signal);
  // A guest with its balloon still full could not hold this.
  const held = "dd if=/dev/zero of=/dev/held bs=1M count=36 2>/dev/null && wc -c </dev/held";
  assert.match(await lab.inBoard("b", held, signal), /^37748736$/m);
});
