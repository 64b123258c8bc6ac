import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { inMadeTrees, type MadeTree } from "../../test/fixtures/cgroup-trees.ts";
import { findCgroupTrees, isDelegated, whyUnwritable } from "./cgroup-trees.ts";

const controllers = ["cpu", "cpuacct", "cpuset", "freezer", "memory"] as const;
const version1 = ["cpu,cpuacct", "cpuset", "freezer", "memory"].map((holds) => ({
  holds,
  at: `cg/${holds}`,
}));

test("version 2 alone: one tree has all that it lists, and counts and freezes without that", async () => {
  const made = {
    mounted: [{ holds: "cgroup2", at: "cg" }],
    own: "0::/system.slice/twinboard.service\n",
    files: {
      "cg/cgroup.controllers": "cpuset cpu io\n",
      "cg/system.slice/twinboard.service/cgroup.procs": "",
    },
  };
  await inMadeTrees(made, async (root, proc) => {
    const { of, all } = await findCgroupTrees(proc);
    const own = join(root, "cg/system.slice/twinboard.service");
    const tree = { version: 2, mount: join(root, "cg"), home: join(root, "cg"), own, readOnly: false };
    for (const name of controllers)
      assert.deepEqual(of(name), name === "memory" ? undefined : tree, `${name}: memory is not listed`);
    assert.deepEqual(all, [tree]);
  });
});

test("hybrid: what is in version 1 is not in the second tree, and what is left is there", async () => {
  const made = {
    mounted: [...version1.slice(0, 3), { holds: "cgroup2", at: "cg/unified" }],
    own: "4:cpuset:/device\n1:cpu,cpuacct:/\n0::/device\n",
    files: { "cg/unified/cgroup.controllers": "memory\n", "cg/cpuset/device/tasks": "" },
  };
  await inMadeTrees(made, async (root, proc) => {
    const { of, all } = await findCgroupTrees(proc);
    assert.deepEqual(
      controllers.map((name) => of(name)?.version),
      [1, 1, 1, 1, 2],
    );
    assert.equal(of("cpu")?.mount, join(root, "cg/cpu,cpuacct"));
    assert.equal(of("cpuset")?.own, join(root, "cg/cpuset/device"));
    assert.equal(of("memory")?.own, undefined, "the group is not to be seen there");
    assert.equal(all.length, 4);
  });
  const empty = { ...made, files: { "cg/unified/cgroup.controllers": "" } };
  await inMadeTrees(empty, async (_, proc) => {
    assert.equal((await findCgroupTrees(proc)).of("memory"), undefined);
  });
});

test("version 1 alone, and a place with a blank in its name", async () => {
  await inMadeTrees({ mounted: [...version1, { holds: "name=systemd", at: "c g" }] }, async (root, proc) => {
    const { of, all } = await findCgroupTrees(proc);
    for (const name of controllers) assert.equal(of(name)?.version, 1, name);
    assert.ok(all.some(({ mount }) => mount === join(root, "c g")));
  });
});

test("a tree that systemd owns: boards' groups are in a scope of it; beside version 1 they are where they were", async () => {
  const files = { "cg/cgroup.controllers": "cpu\n", "cg/init.scope/cgroup.procs": "1\n" };
  await inMadeTrees({ mounted: [{ holds: "cgroup2", at: "cg" }], files }, async (root, proc) => {
    const { of, all, unified } = await findCgroupTrees(proc);
    const home = join(root, "cg/system.slice/twinboard-boards.scope");
    assert.deepEqual([of("cpu")?.home, unified?.home, all.map((tree) => tree.home)], [home, home, [home]]);
    assert.equal(of("cpu")?.mount, join(root, "cg"));
  });
  const hybrid = [...version1, { holds: "cgroup2", at: "cg/unified" }];
  const own = { "cg/cpu,cpuacct/init.scope/tasks": "1\n", "cg/unified/init.scope/cgroup.procs": "1\n" };
  await inMadeTrees({ mounted: hybrid, files: own }, async (root, proc) => {
    const { of, all, unified } = await findCgroupTrees(proc);
    assert.deepEqual([of("cpu")?.home, unified], [join(root, "cg/cpu,cpuacct"), undefined]);
    assert.ok(all.some((tree) => tree.home === join(root, "cg/unified")));
  });
});

test("no tree at all, or none that is not hidden", async () => {
  const hidden = [
    { holds: "cgroup2", at: "cg/unified" },
    { holds: "freezer", at: "cg" },
  ];
  await inMadeTrees({ mounted: [] }, async (_, proc) => {
    const { of, all } = await findCgroupTrees(proc);
    assert.deepEqual([...controllers.map((name) => of(name)), ...all], Array(5).fill(undefined));
  });
  await inMadeTrees({ mounted: hidden }, async (root, proc) => {
    const { of, all } = await findCgroupTrees(proc);
    assert.deepEqual([of("cpuacct"), all.map(({ mount }) => mount)], [undefined, [join(root, "cg")]]);
  });
});

test("a tree that is mounted over read-only is the one that counts, and says so", async () => {
  const mounted = [
    { holds: "cgroup2", at: "cg" },
    { holds: "cgroup2", at: "cg", flags: "ro,nosuid" },
  ];
  await inMadeTrees({ mounted, own: "0::/\n" }, async (root, proc) => {
    const tree = (await findCgroupTrees(proc)).of("freezer");
    assert.ok(tree?.readOnly === true);
    assert.equal(await whyUnwritable(tree, tree.mount), `${join(root, "cg")} is mounted read-only`);
    assert.equal(await whyUnwritable({ ...tree, readOnly: false }, tree.mount), undefined);
  });
});

test("where systemd owns the tree, a scope that no board was in yet is nothing that speaks against groups", async () => {
  const made = { mounted: [{ holds: "cgroup2", at: "cg" }], own: "0::/\n", files: { "cg/init.scope/x": "" } };
  await inMadeTrees(made, async (_, proc) => {
    const tree = (await findCgroupTrees(proc)).of("freezer");
    assert.ok(tree !== undefined && isDelegated(tree));
    assert.equal(await whyUnwritable(tree, tree.home), undefined);
    assert.match((await whyUnwritable(tree, join(tree.mount, "gone"))) ?? "", /somebody else's$/);
  });
});

test("a tree that is mounted a second time elsewhere is still one, and the only one", async () => {
  const mounted = [
    { holds: "cgroup2", at: "cg", device: 9 },
    { holds: "cgroup2", at: "chroot/sys/fs/cgroup", device: 9 },
  ];
  await inMadeTrees({ mounted, own: "0::/\n" }, async (root, proc) => {
    const { all, unified } = await findCgroupTrees(proc);
    assert.deepEqual([all.length, unified?.mount], [1, join(root, "cg")]);
  });
  const hidden = [...mounted, { holds: "cgroup2", at: "cg", device: 9, flags: "ro" }];
  await inMadeTrees({ mounted: hidden, own: "0::/\n" }, async (root, proc) => {
    const { unified } = await findCgroupTrees(proc);
    assert.deepEqual(
      [unified?.mount, unified?.readOnly],
      [join(root, "cg"), true],
      "what hides the first counts",
    );
  });
});

test("a part of a tree, and a group of one's own that lies outside of it", async () => {
  const part: readonly MadeTree[] = [{ holds: "cgroup2", at: "cg", root: "/pods/one" }];
  const files = { "cg/inner/cgroup.procs": "" };
  const ownIn = async (own: string, mounted = part): Promise<string | undefined> => {
    let found: string | undefined;
    await inMadeTrees({ mounted, own: `0::${own}\n`, files }, async (root, proc) => {
      found = (await findCgroupTrees(proc)).of("freezer")?.own?.replace(root, "");
    });
    return found;
  };
  assert.equal(await ownIn("/pods/one/inner"), "/cg/inner");
  assert.equal(await ownIn("/pods/one"), "/cg");
  assert.equal(await ownIn("/pods/one-more"), undefined);
  const whole = [{ holds: "cgroup2", at: "cg" }];
  assert.equal(await ownIn("/../inner", whole), undefined, "cgroup_namespaces(7)");
  assert.equal(await ownIn("/gone", whole), undefined);
});
