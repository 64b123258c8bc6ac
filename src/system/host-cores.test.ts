import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { inMadeTrees } from "../../test/fixtures/cgroup-trees.ts";
import { hostCores, ownCores } from "./host-cores.ts";

const status = (cores: string): string => `Name:\tnode\nCpus_allowed:\tff\nCpus_allowed_list:\t${cores}\n`;

async function own(online: string, text: string): Promise<readonly number[] | null> {
  let found: readonly number[] | null = [];
  await inMadeTrees(
    { mounted: [], files: { "cpu/online": online, "proc/self/status": text } },
    (root, proc) => {
      found = ownCores(join(root, "cpu"), proc);
      return Promise.resolve();
    },
  );
  return found;
}

test("the cores that a process is held on are those of its status that are online; without a hold there are none to name", async () => {
  assert.deepEqual(await own("0-3\n", status("0-1")), [0, 1]);
  assert.deepEqual(await own("0,2-3\n", status("0-1")), [0], "core 1 is offline");
  assert.equal(await own("0-1\n", status("0-127")), null, "the kernel names all that could come");
  assert.equal(await own("0-1\n", status("0-1")), null);
  assert.equal(await own("0-1\n", "Name:\tnode\n"), null, "it does not tell");
  assert.equal(await own("0-1\n", status("2")), null, "they have just gone offline");
});

test("another process's cores are read as its own: its group's, and those of its affinity", async () => {
  const made = {
    mounted: [{ holds: "cpuset", at: "cpuset" }],
    own: "3:cpuset:/\n",
    files: {
      "cpu/online": "0-3\n",
      "cpuset/cpuset.effective_cpus": "0-3\n",
      "cpuset/daemon/cpuset.effective_cpus": "0-2\n",
      "proc/7/cgroup": "3:cpuset:/daemon\n",
      "proc/7/status": "Cpus_allowed_list:\t1\n",
    },
  };
  await inMadeTrees(made, async (root, proc) => {
    const { allowed, own } = await hostCores(7, join(root, "cpu"), proc);
    assert.deepEqual([allowed, own], [[0, 1, 2], [1]]);
    const self = await hostCores("self", join(root, "cpu"), proc);
    assert.deepEqual(
      [self.allowed, self.own],
      [
        [0, 1, 2, 3],
        [0, 1, 2, 3],
      ],
    );
  });
});
