import assert from "node:assert/strict";
import { constants, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { joinGroup } from "./cgroup.ts";
import { lookForMemoryGroups, makeMemoryGroup, removeMemoryGroup } from "./memory-group.ts";
import { hasSwap, reclaim, whyNoReclaim } from "./memory-reclaim.ts";
import { run } from "./process.ts";

const mebi = 1024 * 1024;
const fileBytes = 24 * mebi;
const found = await lookForMemoryGroups();
const skip =
  process.geteuid?.() !== 0
    ? "control groups need root"
    : found.path === undefined
      ? `no memory group can be made here: ${found.reason}`
      : false;

test("pages of files that a group has read are taken back", { skip }, async (t) => {
  const { signal } = t;
  const name = `twinboard-test-reclaim-${process.pid}`;
  const group = await makeMemoryGroup(name, 256 * mebi);
  t.after(async () => await removeMemoryGroup(name));
  assert.ok(group.path !== undefined);
  const { path } = group;
  const directory = await mkdtemp(join(tmpdir(), "reclaim-"));
  t.after(async () => await rm(directory, { recursive: true }));
  const file = join(directory, "file");
  await writeFile(file, Buffer.alloc(fileBytes, 1));
  // On the disk, and out of memory, so that the group reads it anew and is charged for it.
  await run("dd", [`if=${file}`, `of=${file}`, "bs=1M", "conv=notrunc,fsync", "status=none"]);
  await run("dd", [`if=${file}`, "iflag=nocache", "count=0", "status=none"]);
  await joinGroup(path, process.pid);
  await run("cat", [file], { maxOutputBytes: 2 * fileBytes });
  const parent = join(path, "..");
  await joinGroup(parent, process.pid);
  const used = async (): Promise<number> => {
    const current = group.limitFile === "memory.max" ? "memory.current" : "memory.usage_in_bytes";
    return Number(await readFile(join(path, current), "utf8"));
  };
  const before = await used();
  assert.ok(before > fileBytes / 2, `${before} bytes were charged`);
  await reclaim(group, AbortSignal.abort());
  assert.ok((await used()) > before / 2, "nobody waits for it any more");
  await reclaim(group, signal);
  const after = await used();
  assert.ok(after < before - fileBytes / 2, `${before} before, ${after} after`);
  await reclaim(group, signal);
  assert.equal(await whyNoReclaim(group), undefined);
});

test("without a group, or the kernel's file, there is nothing to take back", async ({ signal }) => {
  const none = { path: undefined, reason: "a test" };
  await reclaim(none, signal);
  assert.equal(await whyNoReclaim(none), "a test");
  const directory = await mkdtemp(join(tmpdir(), "reclaim-"));
  try {
    const old = { path: directory, limitFile: "memory.max" } as const;
    await reclaim(old, signal);
    assert.equal(await whyNoReclaim(old), `this kernel has no ${directory}/memory.reclaim`);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("a kernel that is slow to take memory back is left to it once the signal aborts", {
  timeout: 30_000,
}, async () => {
  const directory = await mkdtemp(join(tmpdir(), "reclaim-"));
  const file = join(directory, "memory.force_empty");
  const group = { path: directory, limitFile: "memory.limit_in_bytes" } as const;
  try {
    // A pipe that nobody reads opens for reading and writing at once, and takes no more once it is full.
    await run("mkfifo", [file]);
    const pipe = await open(file, constants.O_RDWR | constants.O_NONBLOCK);
    try {
      const full = await pipe.write(Buffer.alloc(4 * mebi));
      assert.ok(full.bytesWritten < 4 * mebi);
      const abort = new AbortController();
      const reclaiming = reclaim(group, abort.signal, 300_000);
      abort.abort();
      await reclaiming;
      // What is still being written finds room.
      await pipe.read(Buffer.alloc(full.bytesWritten));
    } finally {
      await pipe.close();
    }
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("whether the host has swap", async () => {
  const proc = await mkdtemp(join(tmpdir(), "reclaim-"));
  try {
    assert.equal(await hasSwap(proc), false);
    await writeFile(join(proc, "swaps"), "Filename Type Size Used Priority\n");
    assert.equal(await hasSwap(proc), false);
    await writeFile(join(proc, "swaps"), "Filename Type Size Used Priority\n/dev/zram0 partition 1 0 -2\n");
    assert.equal(await hasSwap(proc), true);
  } finally {
    await rm(proc, { recursive: true });
  }
});
