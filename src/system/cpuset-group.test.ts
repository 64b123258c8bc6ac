import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { inMadeTrees } from "../../test/fixtures/cgroup-trees.ts";
import { makeCpuset, removeCpuset, whyNoCpusets } from "./cpuset-group.ts";

test("version 1: cores and memory nodes are written, below the daemon's own group", async () => {
  const made = {
    mounted: [{ holds: "cpuset", at: "cpuset" }],
    own: "3:cpuset:/device\n",
    files: {
      "cpuset/device/cpuset.effective_cpus": "0-3\n",
      "cpuset/device/cpuset.effective_mems": "0\n",
    },
  };
  await inMadeTrees(made, async (root, proc) => {
    const none = { path: undefined, reason: null };
    assert.deepEqual(await makeCpuset("board", null, proc), none, "whoever may use all needs none");
    const { path } = await makeCpuset("board", [2, 3], proc);
    assert.ok(path !== undefined);
    assert.equal(path, join(root, "cpuset/device/board"));
    const read = async (file: string): Promise<string> => await readFile(join(path, file), "utf8");
    assert.deepEqual([await read("cpuset.cpus"), await read("cpuset.mems")], ["2-3", "0\n"]);
    await makeCpuset("board", null, proc);
    assert.equal(await read("cpuset.cpus"), "0-3\n");
  });
});

test("version 2: the controller is handed down; all cores are those of the group above", async () => {
  const files = { "cg/cgroup.controllers": "cpuset cpu\n", "cg/cgroup.subtree_control": "" };
  await inMadeTrees({ mounted: [{ holds: "cgroup2", at: "cg" }], files }, async (root, proc) => {
    const { path } = await makeCpuset("board", [1], proc);
    assert.ok(path !== undefined);
    assert.equal(path, join(root, "cg/board"));
    assert.equal(await readFile(join(root, "cg/cgroup.subtree_control"), "utf8"), "+cpuset");
    assert.equal(await readFile(join(path, "cpuset.cpus"), "utf8"), "1");
    await makeCpuset("board", null, proc);
    assert.equal((await readFile(join(path, "cpuset.cpus"), "utf8")).trim(), "");
  });
});

test("where there is no controller there is no group, and nothing to remove", async () => {
  const files = { "cg/cgroup.controllers": "memory\n" };
  await inMadeTrees({ mounted: [{ holds: "cgroup2", at: "cg" }], files }, async (_, proc) => {
    const reason = "no cpuset controller is mounted";
    assert.deepEqual(await makeCpuset("board", [1], proc), { path: undefined, reason });
    assert.deepEqual(await makeCpuset("board", null, proc), { path: undefined, reason: null });
    assert.equal(await whyNoCpusets(proc), reason);
    await removeCpuset("board", proc);
  });
});
