import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { cpuShare, joinGroup, makeCpuGroup, setCpuPriority, setCpuShare, threadsOutside } from "./cgroup.ts";

/** A tree of plain files; the kernel would make the group's files by itself, so they are there before the group is. */
async function inTree(
  files: Readonly<Record<string, string>>,
  body: (root: string) => Promise<void>,
): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), "twinboard-cgroup-"));
  try {
    for (const [path, content] of Object.entries(files)) {
      await mkdir(join(root, path, ".."), { recursive: true });
      await writeFile(join(root, path), content);
    }
    await body(root);
  } finally {
    await rm(root, { recursive: true });
  }
}

const version2 = { "cgroup.controllers": "cpuset cpu io\n", "cgroup.subtree_control": "" };

test("version 2: the controller is handed down, and the idle class is used", async () => {
  await inTree({ ...version2, "board/cpu.idle": "0", "board/cpu.weight": "100" }, async (root) => {
    const group = await makeCpuGroup("board", root);
    assert.deepEqual(group, { way: "cpu.idle", path: join(root, "board"), reason: "" });
    assert.equal(await readFile(join(root, "cgroup.subtree_control"), "utf8"), "+cpu");
    for (const [priority, idle] of [
      ["background", "1"],
      ["service", "0"],
    ] as const) {
      await setCpuPriority(group, priority);
      assert.equal(await readFile(join(root, "board/cpu.idle"), "utf8"), idle);
    }
  });
});

test("an older kernel has weights or shares, and the reason is told", async () => {
  await inTree({ ...version2, "board/cpu.weight": "100" }, async (root) => {
    const group = await makeCpuGroup("board", root);
    assert.equal(group.way, "cpu.weight");
    assert.match(group.reason, /no cpu\.idle/);
    await setCpuPriority(group, "background");
    assert.equal(await readFile(join(root, "board/cpu.weight"), "utf8"), "1");
  });
  const hybrid = { "unified/cgroup.controllers": "", "cpu/cgroup.procs": "", "cpu/board/cpu.shares": "1024" };
  await inTree(hybrid, async (root) => {
    const group = await makeCpuGroup("board", root);
    assert.equal(group.way, "cpu.shares");
    assert.equal(group.path, join(root, "cpu/board"));
    await setCpuPriority(group, "background");
    assert.equal(await readFile(join(root, "cpu/board/cpu.shares"), "utf8"), "2");
    await setCpuPriority(group, "service");
    assert.equal(await readFile(join(root, "cpu/board/cpu.shares"), "utf8"), "1024");
  });
});

test("where there is no way, that is what it says, and asking for priority changes nothing", async () => {
  await inTree({ "cgroup.controllers": "memory pids\n" }, async (root) => {
    const group = await makeCpuGroup("board", root);
    assert.deepEqual([group.way, group.path], ["none", undefined]);
    assert.notEqual(group.reason, "");
    await setCpuPriority(group, "background");
    await assert.rejects(stat(join(root, "board")), { code: "ENOENT" });
  });
});

test("a background group that is raised, and then given all, has what the kernel's default is", async () => {
  const files = { ...version2, "board/cpu.idle": "0", "board/cpu.weight": "100" };
  await inTree(files, async (root) => {
    const group = await makeCpuGroup("board", root);
    await setCpuPriority(group, "background");
    assert.equal(await cpuShare(group), 0);
    await setCpuShare(group, 33);
    assert.deepEqual(
      [await cpuShare(group), await readFile(join(root, "board/cpu.idle"), "utf8")],
      [33, "0"],
    );
    await setCpuPriority(group, "service");
    assert.equal(await cpuShare(group), 100);
  });
  const hybrid = { "cpu/cgroup.procs": "", "cpu/board/cpu.shares": "1024" };
  await inTree(hybrid, async (root) => {
    const group = await makeCpuGroup("board", root);
    await setCpuShare(group, 10);
    assert.equal(await readFile(join(root, "cpu/board/cpu.shares"), "utf8"), "102");
    await setCpuPriority(group, "service");
    assert.equal(await cpuShare(group), 100);
  });
  assert.equal(await cpuShare({ way: "none", path: undefined, reason: "" }), undefined);
});

test("threads outside a group are counted, in either version", async () => {
  const threads = await readdir(`/proc/${process.pid}/task`);
  const [first = "", ...others] = threads;
  const files = { "one/tasks": `${threads.join("\n")}\n`, "two/cgroup.threads": `${first}\n` };
  await inTree(files, async (root) => {
    const outside = async (...groups: string[]): Promise<number[]> =>
      await threadsOutside(
        groups.map((group) => join(root, group)),
        [process.pid],
      );
    assert.ok((await outside("two")).length >= others.length);
    assert.ok((await outside("two")).every((pid) => pid === process.pid));
    assert.ok((await outside("one")).length < threads.length);
    assert.ok((await outside("two", "one")).length < threads.length);
    assert.deepEqual(await outside("three"), []);
    await joinGroup(join(root, "one"), 42);
    assert.equal(await readFile(join(root, "one/cgroup.procs"), "utf8"), "42");
  });
});
