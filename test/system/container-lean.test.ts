/** A container that is laid to sleep lean gives back pages of what it has read, one that sleeps warm does not; both work when they wake. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { lookForMemoryGroups } from "../../src/system/memory-group.ts";
import { whyNoReclaim } from "../../src/system/memory-reclaim.ts";
import { ConsoleShell } from "../fixtures/board/console-shell.ts";
import { makeContainerSubject, whyNoContainers } from "../fixtures/container/subject.ts";
import { makeLoopDiskNode, whyNoLoopDevices } from "../fixtures/device/loop-disk.ts";

const skip =
  (await whyNoContainers()) ||
  (await whyNoLoopDevices()) ||
  (await whyNoReclaim(await lookForMemoryGroups({ level: "top" }))) ||
  false;
const mebi = 1024 * 1024;
const readBytes = 32 * mebi;

for (const isLean of [false, true])
  test(`asleep ${isLean ? "lean it keeps little of" : "warm it keeps"} what it has read`, {
    skip,
    timeout: 60_000,
  }, async (t) => {
    const { signal } = t;
    await using subject = await makeContainerSubject({ isLean });
    const { board, software, options } = subject;
    await using _ = await makeLoopDiskNode(options.names.deviceNode("disk"), { uid: 0, gid: 0 }, readBytes);
    await board.start(software(), signal);
    await board.ready(signal);
    await board.plug({ id: "disk", kind: "disk" }, signal);
    const shell = await ConsoleShell.open(board, signal);
    // The kernel keeps a disk's pages for as long as somebody has it open.
    const count = "exec 8</dev/devices/disk; dd if=/dev/devices/disk bs=1M 2>/dev/null | wc -c";
    assert.equal(await shell.run(count), String(readBytes));
    const awake = await board.usage();
    await board.pause(signal);
    const asleep = await board.usage();
    assert.ok(awake !== undefined && asleep !== undefined);
    t.diagnostic(`awake ${awake.residentBytes} bytes, asleep ${asleep.residentBytes}`);
    assert.ok(awake.residentBytes > readBytes);
    const kept = asleep.residentBytes > awake.residentBytes - readBytes / 2;
    assert.equal(kept, !isLean);
    await board.resume(signal);
    const after = await ConsoleShell.open(board, signal);
    await after.begin();
    assert.equal(await after.run("dd if=/dev/devices/disk bs=1M 2>/dev/null | wc -c"), String(readBytes));
    await after.run("exec 8<&-");
  });
