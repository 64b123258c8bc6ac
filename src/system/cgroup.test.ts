import assert from "node:assert/strict";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { inMadeTrees } from "../../test/fixtures/cgroup-trees.ts";
import {
  cpuShare,
  joinGroup,
  lookForCpuGroups,
  makeCpuGroup,
  setCpuPriority,
  setCpuShare,
  threadsOutside,
} from "./cgroup.ts";

/** Of version 2 if there is a list of controllers at the top, else one of version 1 with `cpu` alone and an empty one of version 2. */
async function inTree(
  files: Readonly<Record<string, string>>,
  body: (root: string, proc: string) => Promise<void>,
): Promise<void> {
  const hybrid = [
    { holds: "cpu", at: "cpu" },
    { holds: "cgroup2", at: "unified" },
  ];
  const mounted = "cgroup.controllers" in files ? [{ holds: "cgroup2", at: "." }] : hybrid;
  await inMadeTrees({ mounted, files }, body);
}

const version2 = { "cgroup.controllers": "cpuset cpu io\n", "cgroup.subtree_control": "" };

test("version 2: the controller is handed down, and the idle class is used", async () => {
  await inTree({ ...version2, "board/cpu.idle": "0", "board/cpu.weight": "100" }, async (root, proc) => {
    const group = await makeCpuGroup("board", proc);
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
  await inTree({ ...version2, "board/cpu.weight": "100" }, async (root, proc) => {
    const group = await makeCpuGroup("board", proc);
    assert.equal(group.way, "cpu.weight");
    assert.match(group.reason, /no cpu\.idle/);
    await setCpuPriority(group, "background");
    assert.equal(await readFile(join(root, "board/cpu.weight"), "utf8"), "1");
  });
  const hybrid = { "unified/cgroup.controllers": "", "cpu/cgroup.procs": "", "cpu/board/cpu.shares": "1024" };
  await inTree(hybrid, async (root, proc) => {
    const group = await makeCpuGroup("board", proc);
    assert.equal(group.way, "cpu.shares");
    assert.equal(group.path, join(root, "cpu/board"));
    await setCpuPriority(group, "background");
    assert.equal(await readFile(join(root, "cpu/board/cpu.shares"), "utf8"), "2");
    await setCpuPriority(group, "service");
    assert.equal(await readFile(join(root, "cpu/board/cpu.shares"), "utf8"), "1024");
  });
});

test("where there is no way, that is what it says, and asking for priority changes nothing", async () => {
  await inTree({ "cgroup.controllers": "memory pids\n" }, async (root, proc) => {
    const group = await makeCpuGroup("board", proc);
    assert.deepEqual([group.way, group.path], ["none", undefined]);
    assert.notEqual(group.reason, "");
    await setCpuPriority(group, "background");
    await assert.rejects(stat(join(root, "board")), { code: "ENOENT" });
  });
});

test("a background group that is raised, and then given all, has what the kernel's default is", async () => {
  const files = { ...version2, "board/cpu.idle": "0", "board/cpu.weight": "100" };
  await inTree(files, async (root, proc) => {
    const group = await makeCpuGroup("board", proc);
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
  await inTree(hybrid, async (root, proc) => {
    const group = await makeCpuGroup("board", proc);
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

test("a tree that cannot be changed gives no shares, and what is told is why", async () => {
  const mounted = [{ holds: "cgroup2", at: "cg", flags: "ro" }];
  // A file in the group's place stops root too.
  const files = { "cg/cgroup.controllers": "cpu\n", "cg/board": "" };
  await inMadeTrees({ mounted, files }, async (root, proc) => {
    const reason = `${join(root, "cg")} is mounted read-only`;
    assert.deepEqual(await makeCpuGroup("board", proc), { way: "none", reason, path: undefined });
    if (process.geteuid?.() !== 0) return;
    assert.deepEqual(await lookForCpuGroups(proc), {
      way: "none",
      reason,
      tree: "version 2",
      delegated: false,
    });
  });
});
