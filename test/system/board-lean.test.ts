/** A machine that is laid to sleep lean gives back what its guest can spare, and serves when it wakes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { machineDirectory, recordDirectory } from "../../src/board/qemu/board-directories.ts";
import { MachineSockets } from "../../src/board/qemu/machine-sockets.ts";
import { QmpConnection } from "../../src/board/qemu/qmp.ts";
import { whyNoMachines } from "../fixtures/board/host.ts";
import { makeQemuSubject } from "../fixtures/board/qemu-subject.ts";
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

test("a daemon that is killed while its balloon is full: the next one gives a machine that runs its memory back", {
  skip: await whyNoMachines(),
  timeout: 120_000,
}, async ({ signal }) => {
  await using subject = await makeQemuSubject();
  const { board, restart, options, software } = subject;
  await board.start(software(), signal);
  await board.ready(signal);
  await board.release();
  const whole = options.memoryBytes;
  const small = whole - 40 * mebi;
  const sockets = new MachineSockets(
    machineDirectory(options.names, options.name),
    recordDirectory(options.names, options.name),
    options.user.uid,
  );
  /** As its own connection to QEMU tells it; QEMU has one at a time. */
  const until = async (right: (actual: number) => boolean, goal?: number): Promise<void> => {
    const qmp = await QmpConnection.open(await sockets.connect("qmp"));
    try {
      if (goal !== undefined) await qmp.execute("balloon", { value: goal }, signal);
      for (;;) {
        const { actual } = (await qmp.execute("query-balloon", undefined, signal)) as { actual: number };
        if (right(actual)) return;
        await sleep(50, undefined, { signal });
      }
    } finally {
      qmp.close();
    }
  };
  await until((actual) => actual <= small, small);
  const next = restart();
  assert.deepEqual(await next.ready(signal), { version: "1.0.0" });
  assert.equal((await next.inspect()).state, "running");
  await next.release();
  await until((actual) => actual === whole);
});
