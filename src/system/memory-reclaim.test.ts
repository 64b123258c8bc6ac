import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { joinGroup } from "./cgroup.ts";
import { lookForMemoryGroups, makeMemoryGroup, removeMemoryGroup } from "./memory-group.ts";
import { reclaim } from "./memory-reclaim.ts";
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
  await reclaim(group);
  const after = await used();
  assert.ok(after < before - fileBytes / 2, `${before} before, ${after} after`);
  await reclaim(group);
});

test("without a group there is nothing to take back", async () => {
  await reclaim({ path: undefined, reason: "a test" });
});
