import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { inMadeTrees } from "../../test/fixtures/cgroup-trees.ts";
import { keepCores, makeCpuset, removeCpuset, whyNoCpusets } from "./cpuset-group.ts";
import { onlineCores } from "./host-cores.ts";

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
    assert.equal(await read("cpuset.cpus"), "0-3");
  });
});

test("version 1: cores that are offline are left out, and are given back once they are there", async () => {
  const made = {
    mounted: [{ holds: "cpuset", at: "cpuset" }],
    own: "3:cpuset:/\n",
    files: { "cpuset/cpuset.effective_cpus": "0-2\n", "cpuset/cpuset.effective_mems": "0\n" },
  };
  await inMadeTrees(made, async (root, proc) => {
    const { path } = await makeCpuset("board", [2, 3], proc);
    assert.ok(path !== undefined);
    const cores = async (): Promise<string> => await readFile(join(path, "cpuset.cpus"), "utf8");
    const online = async (list: string): Promise<void> =>
      await writeFile(join(root, "cpuset/cpuset.effective_cpus"), `${list}\n`);
    assert.equal(await cores(), "2");
    await online("0-3");
    keepCores(path, [2, 3]);
    assert.equal(await cores(), "2-3");
    await writeFile(join(path, "cpuset.cpus"), "2-3\n");
    keepCores(path, [2, 3]);
    assert.equal(await cores(), "2-3\n", "what it has is not written again");
    await online("0-1");
    keepCores(path, [2, 3]);
    assert.equal(await cores(), "2-3\n", "no group is left without cores by us");
    keepCores(path, null);
    assert.equal(await cores(), "0-1");
    keepCores(join(root, "cpuset/other"), [1]);
    assert.ok(!existsSync(join(root, "cpuset/other")), "none is made");
    const none = await makeCpuset("third", [3], proc);
    assert.match(none.path ?? none.reason ?? "", /^none of the cores 3 is in the group above /);
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
    keepCores(path, [1, 4000]);
    assert.equal(
      await readFile(join(path, "cpuset.cpus"), "utf8"),
      "1,4000",
      "the kernel keeps what is not there",
    );
  });
});

test("where no group can be made, the daemon's own cpuset holds whoever has all of it", async () => {
  const made = {
    mounted: [{ holds: "cpuset", at: "cpuset", flags: "ro" }],
    own: "3:cpuset:/device\n",
    // Nor could one be made of plain files.
    files: { "cpuset/device/cpuset.effective_cpus": "0-1\n", "cpuset/device/board": "" },
  };
  await inMadeTrees(made, async (_, proc) => {
    assert.deepEqual(await makeCpuset("board", [0, 1], proc), { path: undefined, reason: null });
    const one = await makeCpuset("board", [1], proc);
    assert.match(one.path === undefined ? (one.reason ?? "") : "", /device is mounted read-only$/);
  });
});

test("where there is no controller there is no group, and nothing to remove", async () => {
  const files = { "cg/cgroup.controllers": "memory\n" };
  await inMadeTrees({ mounted: [{ holds: "cgroup2", at: "cg" }], files }, async (_, proc) => {
    const reason = "no cpuset controller is mounted";
    assert.deepEqual(await makeCpuset("board", [1], proc), { path: undefined, reason });
    assert.deepEqual(await makeCpuset("board", null, proc), { path: undefined, reason: null });
    const all = onlineCores();
    assert.deepEqual(
      await makeCpuset("board", all, proc),
      { path: undefined, reason: null },
      "all there are",
    );
    assert.equal(await whyNoCpusets(proc), reason);
    await removeCpuset("board", proc);
  });
});
