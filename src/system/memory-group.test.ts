import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { inMadeTrees } from "../../test/fixtures/cgroup-trees.ts";
import {
  lookForMemoryGroups,
  makeMemoryGroup,
  memoryCeiling,
  memoryKills,
  removeMemoryGroup,
} from "./memory-group.ts";

const unified = { holds: "cgroup2", at: "cgroup" };

test("version 2: the controller is handed down, the limit set, and kills are counted", async () => {
  const files = {
    "cgroup/cgroup.controllers": "cpu memory\n",
    "cgroup/cgroup.subtree_control": "",
    "cgroup/board/memory.events": "low 0\noom 3\noom_kill 1\noom_group_kill 0\n",
  };
  await inMadeTrees({ mounted: [unified], files }, async (root, proc) => {
    const group = await makeMemoryGroup("board", 1000, { proc });
    const path = join(root, "cgroup/board");
    assert.deepEqual(group, { path, limitFile: "memory.max" });
    assert.equal(await readFile(join(path, "memory.max"), "utf8"), "1000");
    assert.equal(await readFile(join(root, "cgroup/cgroup.subtree_control"), "utf8"), "+memory");
    assert.equal(await memoryKills(group), 1);
  });
});

test("version 1: below the daemon's own group, whose limit holds for the boards too", async () => {
  const mounted = [
    { holds: "memory", at: "cgroup/memory" },
    { holds: "cgroup2", at: "cgroup/unified" },
  ];
  const files = {
    "cgroup/unified/cgroup.controllers": "",
    "cgroup/memory/device/memory.limit_in_bytes": "9",
    "cgroup/memory/device/board/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
  };
  await inMadeTrees({ mounted, own: "4:memory:/device\n0::/\n", files }, async (root, proc) => {
    const group = await makeMemoryGroup("board", 1000, { proc });
    assert.equal(group.path, join(root, "cgroup/memory/device/board"));
    assert.equal(await memoryKills(group), 2);
    const top = await makeMemoryGroup("board", 1000, { proc, level: "top" });
    assert.equal(top.path, join(root, "cgroup/memory/board"));
  });
  await inMadeTrees({ mounted, own: "4:memory:/../device\n", files }, async (root, proc) => {
    const { path } = await makeMemoryGroup("board", 1000, { proc });
    assert.equal(path, join(root, "cgroup/memory/board"), "its own group lies outside of this namespace");
  });
});

test("what groups may have at most is the least that those above them may have", async () => {
  const none = "9223372036854771712\n";
  const mounted = [{ holds: "memory", at: "cgroup/memory" }];
  const files = {
    "cgroup/memory/memory.limit_in_bytes": none,
    "cgroup/memory/device/memory.limit_in_bytes": "300\n",
    "cgroup/memory/device/daemon/memory.limit_in_bytes": none,
  };
  await inMadeTrees({ mounted, own: "4:memory:/device/daemon\n", files }, async (_, proc) => {
    assert.equal(await memoryCeiling({ proc }), 300);
    assert.equal(await memoryCeiling({ proc, level: "top" }), undefined);
  });
  const second = { "cgroup/cgroup.controllers": "memory\n", "cgroup/memory.max": "max\n" };
  await inMadeTrees({ mounted: [unified], files: second }, async (_, proc) => {
    assert.equal(await memoryCeiling({ proc }), undefined);
  });
});

test("where there is no controller, or the tree cannot be written to, that is what it says", async () => {
  const made = { mounted: [unified], files: { "cgroup/cgroup.controllers": "cpu\n" } };
  await inMadeTrees(made, async (_, proc) => {
    const group = await makeMemoryGroup("board", 1000, { proc });
    assert.deepEqual(group, { path: undefined, reason: "no memory controller is mounted" });
    assert.equal(await memoryKills(group), 0);
    assert.deepEqual(await lookForMemoryGroups({ proc }), group);
    await removeMemoryGroup("board", { proc });
  });
  // A file in the group's place stops root too.
  const blocked = { "cgroup/cgroup.controllers": "memory\n", "cgroup/board": "" };
  await inMadeTrees({ mounted: [unified], files: blocked }, async (root, proc) => {
    const group = await makeMemoryGroup("board", 1000, { proc });
    assert.ok(group.path === undefined && group.reason.includes("EEXIST"));
    assert.equal((await lookForMemoryGroups({ proc })).path, join(root, "cgroup"));
  });
  const fixed = { mounted: [{ ...unified, flags: "ro" }], files: blocked };
  await inMadeTrees(fixed, async (root, proc) => {
    const reason = `${join(root, "cgroup")} is mounted read-only`;
    assert.deepEqual(await makeMemoryGroup("board", 1000, { proc }), { path: undefined, reason });
    assert.deepEqual(await lookForMemoryGroups({ proc }), { path: undefined, reason });
  });
});
