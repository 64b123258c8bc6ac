/** A disk of the host, a loop device, that is moved between two real machines under emulation. */
import assert from "node:assert/strict";
import { chmod, chown, rm, stat } from "node:fs/promises";
import { describe, test } from "node:test";
import { DeviceService } from "../../src/service/device/device.ts";
import { orAborted } from "../../src/system/abort.ts";
import { run } from "../../src/system/process.ts";
import { ConsoleShell } from "../fixtures/board/console-shell.ts";
import { whyNoMachines } from "../fixtures/board/host.ts";
import { makeQemuSubject, type QemuSubject } from "../fixtures/board/qemu-subject.ts";
import { makeLoopDisk, whyNoLoopDevices } from "../fixtures/device/loop-disk.ts";

const skip = (await whyNoMachines()) || (await whyNoLoopDevices());
const devices = [
  { id: "disk", kind: "disk" },
  { id: "dongle", kind: "usb" },
] as const;

async function boot({ board, software }: QemuSubject, signal: AbortSignal): Promise<void> {
  await board.start({ ...software(), priority: "service" }, signal);
  await board.ready(signal);
}

const seen = "until [ -b /dev/vdb ]; do usleep 1000; done; cat /sys/block/vdb/serial";
const gone = "while [ -b /dev/vdb ]; do usleep 1000; done; ls /sys/block";

describe("a device between two machines", { concurrency: 1 }, () => {
  void test("a disk is the holder's alone, and what one wrote the other reads", {
    skip,
    timeout: 120_000,
  }, async (t) => {
    const { signal } = t;
    await using disk = await makeLoopDisk(8 * 1024 * 1024);
    await using a = await makeQemuSubject({ devices });
    const { names, stateDirectory, user } = a.options;
    await using b = await makeQemuSubject({ devices, name: "b", names, stateDirectory });
    const daemon = (): DeviceService =>
      new DeviceService({
        name: "disk",
        names,
        device: { kind: "disk", path: disk.path },
        boards: { a: a.board, b: b.board },
        gid: user.gid,
        timeoutMs: 10_000,
      });
    const service = daemon();
    await using _ = { [Symbol.asyncDispose]: () => daemon().tearDown(AbortSignal.timeout(30_000)) };
    const timed = async (what: string, work: Promise<void>): Promise<void> => {
      const began = performance.now();
      await work;
      t.diagnostic(`${what}: ${(performance.now() - began).toFixed(0)} ms`);
    };
    for (const subject of [a, b]) await boot(subject, signal);
    await service.setUp(signal);
    const onA = await ConsoleShell.open(a.board, signal);
    const onB = await ConsoleShell.open(b.board, signal);

    await service.settle("a", 1, signal);
    assert.equal(await onA.run(seen), "disk");
    assert.equal(await onB.run(gone), "vda");
    await onA.run("echo written-by-a >/dev/vdb");
    const node = names.deviceNode("disk");
    const { mode, uid, gid } = await stat(node);
    assert.deepEqual([mode & 0o777, uid, gid], [0, 0, user.gid], "nobody else can open it");
    // Even if somebody let it: QEMU's own lock is between both machines.
    await chmod(node, 0o060);
    await assert.rejects(b.board.plug(devices[0], signal), { code: "command-failed", message: /lock/ });
    await chmod(node, 0);
    assert.deepEqual([await a.board.plugged(), await b.board.plugged()], [["disk"], []]);

    await timed("lease", service.lease("b", 2, signal));
    assert.equal(await onA.run(gone), "vda");
    await timed("settle", service.settle("b", 2, signal));
    assert.equal(await onB.run(seen), "disk");
    assert.equal(
      await onB.run("head -n 1 /dev/vdb"),
      "written-by-a",
      "it was written before it was let go of",
    );
    await onB.run("echo written-by-b >/dev/vdb; sync");
    assert.deepEqual(await daemon().inspect(), await service.inspect());

    // A machine that died is kept for its evidence, with its lock on the disk.
    await b.die("panic");
    assert.deepEqual(await b.board.plugged(), ["disk"]);
    await service.lease("a", 3, signal);
    await service.settle("a", 3, signal);
    assert.equal(await onA.run(seen), "disk");
    assert.equal(await onA.run("head -n 1 /dev/vdb"), "written-by-b");
    assert.equal((await b.board.inspect()).state, "off");

    // One that hangs loses it with its process.
    await boot(b, signal);
    const hung = Promise.withResolvers<void>();
    a.board.subscribe(({ type }) => {
      if (type === "hung") hung.resolve();
    });
    await a.hang();
    await orAborted(hung.promise, signal);
    await service.lease("b", 4, signal);
    await service.settle("b", 4, signal);
    assert.equal((await a.board.inspect()).state, "off");
    const again = await ConsoleShell.open(b.board, signal);
    assert.equal(await again.run(seen), "disk");
    await service.tearDown(signal);
    assert.equal(await again.run(gone), "vda");
    await assert.rejects(stat(node), { code: "ENOENT" });
  });

  void test("what is no USB device is refused, and the machine is as it was", {
    skip,
    timeout: 90_000,
  }, async ({ signal }) => {
    await using a = await makeQemuSubject({ devices });
    await boot(a, signal);
    // The numbers of /dev/null.
    const node = a.options.names.deviceNode("dongle");
    await run("mkdir", ["-p", a.options.names.deviceNode("")]);
    await run("mknod", ["-m", "0600", node, "c", "1", "3"]);
    await chown(node, a.options.user.uid, a.options.user.gid);
    try {
      await assert.rejects(a.board.plug(devices[1], signal), { code: "command-failed", message: /QEMU: .+/ });
      assert.deepEqual(await a.board.plugged(), []);
      await a.board.unplug("dongle", signal);
      assert.equal((await a.board.inspect()).state, "running");
    } finally {
      await rm(a.options.names.deviceNode(""), { recursive: true });
    }
  });
});
