import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { makeCpuset, removeCpuset } from "./cpuset-group.ts";

async function inTree(
  files: Readonly<Record<string, string>>,
  body: (places: { readonly root: string; readonly proc: string }) => Promise<void>,
): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), "twinboard-cpuset-"));
  try {
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), content);
    }
    await body({ root: join(root, "cgroup"), proc: join(root, "proc") });
  } finally {
    await rm(root, { recursive: true });
  }
}

test("version 1: cores and memory nodes are written, below the daemon's own group", async () => {
  const files = {
    "cgroup/cpuset/device/cpuset.effective_cpus": "0-3\n",
    "cgroup/cpuset/device/cpuset.effective_mems": "0\n",
    "proc/self/cgroup": "3:cpuset:/device\n",
  };
  await inTree(files, async (places) => {
    assert.equal(await makeCpuset("board", null, places), undefined, "whoever may use all needs none");
    const path = await makeCpuset("board", [2, 3], places);
    assert.equal(path, join(places.root, "cpuset/device/board"));
    const read = async (file: string): Promise<string> => await readFile(join(path, file), "utf8");
    assert.deepEqual([await read("cpuset.cpus"), await read("cpuset.mems")], ["2-3", "0\n"]);
    await makeCpuset("board", null, places);
    assert.equal(await read("cpuset.cpus"), "0-3\n");
  });
});

test("version 2: the controller is handed down; all cores are those of the group above", async () => {
  const files = { "cgroup/cgroup.controllers": "cpuset cpu\n", "cgroup/cgroup.subtree_control": "" };
  await inTree(files, async (places) => {
    const path = await makeCpuset("board", [1], places);
    assert.equal(path, join(places.root, "board"));
    assert.equal(await readFile(join(places.root, "cgroup.subtree_control"), "utf8"), "+cpuset");
    assert.equal(await readFile(join(path, "cpuset.cpus"), "utf8"), "1");
    await makeCpuset("board", null, places);
    assert.equal((await readFile(join(path, "cpuset.cpus"), "utf8")).trim(), "");
  });
});

test("where there is no controller there is no group, and nothing to remove", async () => {
  await inTree({ "cgroup/cgroup.controllers": "memory\n" }, async (places) => {
    assert.equal(await makeCpuset("board", [1], places), undefined);
    await removeCpuset("board", places);
  });
});
