import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { lookForMemoryGroups, makeMemoryGroup, memoryKills, removeMemoryGroup } from "./memory-group.ts";

/** A tree of plain files; the kernel would make the group's files by itself, so they are there before the group is. */
async function inTree(
  files: Readonly<Record<string, string>>,
  body: (places: { readonly root: string; readonly proc: string }) => Promise<void>,
): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), "twinboard-memory-"));
  try {
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), content);
    }
    await body({ root: join(root, "cgroup"), proc: join(root, "proc") });
  } finally {
    await chmod(root, 0o755);
    await rm(root, { recursive: true });
  }
}

test("version 2: the controller is handed down, the limit set, and kills are counted", async () => {
  const files = {
    "cgroup/cgroup.controllers": "cpu memory\n",
    "cgroup/cgroup.subtree_control": "",
    "cgroup/board/memory.events": "low 0\noom 3\noom_kill 1\noom_group_kill 0\n",
  };
  await inTree(files, async (places) => {
    const group = await makeMemoryGroup("board", 1000, places);
    const path = join(places.root, "board");
    assert.deepEqual(group, { path, limitFile: "memory.max" });
    assert.equal(await readFile(join(path, "memory.max"), "utf8"), "1000");
    assert.equal(await readFile(join(places.root, "cgroup.subtree_control"), "utf8"), "+memory");
    assert.equal(await memoryKills(group), 1);
  });
});

test("version 1: below the daemon's own group, whose limit holds for the boards too", async () => {
  const files = {
    "cgroup/unified/cgroup.controllers": "",
    "cgroup/memory/device/memory.limit_in_bytes": "9",
    "cgroup/memory/device/board/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    "proc/self/cgroup": "4:memory:/device\n0::/\n",
  };
  await inTree(files, async (places) => {
    const group = await makeMemoryGroup("board", 1000, places);
    assert.equal(group.path, join(places.root, "memory/device/board"));
    assert.equal(await memoryKills(group), 2);
    const top = await makeMemoryGroup("board", 1000, { ...places, level: "top" });
    assert.equal(top.path, undefined, "nothing is made where the tree has no top to make it in");
  });
});

test("where there is no controller, or the tree cannot be written to, that is what it says", async () => {
  await inTree({ "cgroup/cgroup.controllers": "cpu\n" }, async (places) => {
    const group = await makeMemoryGroup("board", 1000, places);
    assert.deepEqual(group, { path: undefined, reason: "no memory controller is mounted" });
    assert.equal(await memoryKills(group), 0);
    assert.deepEqual(await lookForMemoryGroups(places), group);
    await removeMemoryGroup("board", places);
  });
  // A file in the group's place stops root too.
  await inTree({ "cgroup/cgroup.controllers": "memory\n", "cgroup/board": "" }, async (places) => {
    const group = await makeMemoryGroup("board", 1000, places);
    assert.ok(group.path === undefined && group.reason.includes("EEXIST"));
    assert.equal((await lookForMemoryGroups(places)).path, places.root);
  });
});
