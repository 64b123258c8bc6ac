import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { inMadeTrees } from "../../test/fixtures/cgroup-trees.ts";
import { leaveHome, openHome } from "./boards-scope.ts";
import { makeCpuGroup } from "./cgroup.ts";
import { type CgroupTree, findCgroupTrees } from "./cgroup-trees.ts";
import { makeMemoryGroup } from "./memory-group.ts";

const scope = "cg/system.slice/twinboard-boards.scope";
const owned = {
  mounted: [{ holds: "cgroup2", at: "cg" }],
  files: {
    "cg/cgroup.controllers": "cpu memory\n",
    "cg/cgroup.subtree_control": "memory\n",
    "cg/init.scope/cgroup.procs": "1\n",
  },
};

/** The tree of these files, and what is there instead of systemd-run(1): a script, that finds the directory of the scope in `$SCOPE`. */
async function withSystemd(
  systemdRun: string,
  body: (tree: CgroupTree, root: string, proc: string) => Promise<void>,
): Promise<void> {
  await inMadeTrees(owned, async (root, proc) => {
    const before = process.env["PATH"];
    await mkdir(join(root, "programs"));
    await writeFile(join(root, "programs/systemd-run"), `#!/bin/sh\n${systemdRun}\n`, { mode: 0o755 });
    process.env["SCOPE"] = join(root, scope);
    process.env["PATH"] = `${join(root, "programs")}:${before}`;
    try {
      const tree = (await findCgroupTrees(proc)).unified;
      assert.ok(tree !== undefined);
      await body(tree, root, proc);
    } finally {
      process.env["PATH"] = before;
      delete process.env["SCOPE"];
    }
  });
}

const working = `echo "$*" >>"$SCOPE.started"
mkdir -p "$SCOPE/keeper" "$SCOPE/board"
: >"$SCOPE/board/cpu.idle"
echo "$$" >"$SCOPE/keeper/cgroup.procs"
exec sleep 100`;

test("where systemd owns the tree, boards' groups are in a scope that it is asked for once, and nothing else is written to", async () => {
  await withSystemd(`mkdir -p "\${SCOPE%/*}"\n${working}`, async (tree, root, proc) => {
    const path = join(root, scope, "board");
    const read = async (file: string): Promise<string> => await readFile(join(root, file), "utf8");
    // As the two boards of a daemon do.
    for (const group of await Promise.all([makeCpuGroup("board", proc), makeCpuGroup("board", proc)]))
      assert.deepEqual(group, { way: "cpu.idle", path, reason: "" });
    assert.equal(await read(`${scope}/cgroup.subtree_control`), "+cpu");
    assert.equal((await makeMemoryGroup("board", 1000, { proc })).path, path);
    assert.equal(await read(`${scope}/cgroup.subtree_control`), "+memory");
    assert.equal(await read("cg/cgroup.subtree_control"), "memory\n");
    const started = await read(`${scope}.started`);
    assert.equal(started.match(/--scope/g)?.length, 1, started);
    assert.match(started, /--scope .*--slice=system\.slice --unit=twinboard-boards\.scope .*Delegate=yes/);

    await leaveHome(tree);
    const keeper = Number(await read(`${scope}/keeper/cgroup.procs`));
    process.kill(keeper, 0);
    await rm(path, { recursive: true });
    // As systemd does with the last process of a scope.
    const gone = (async (): Promise<void> => {
      while ((await readFile(`/proc/${keeper}/stat`, "utf8").catch(() => ") Z")).includes(") S"))
        await new Promise(setImmediate);
      await rm(tree.home, { recursive: true });
    })();
    await Promise.all([leaveHome(tree), gone]);
  });
});

test("a scope of that name that is just being cleared away is waited for", async () => {
  const first = `if mkdir "\${SCOPE%/*}"; then echo Unit twinboard-boards.scope was already loaded >&2; exit 1; fi`;
  await withSystemd(`${first}\n${working}`, async (tree, root) => {
    await openHome(tree, "cpu");
    await rm(join(root, scope, "board"), { recursive: true });
    const left = leaveHome(tree);
    await rm(tree.home, { recursive: true });
    await left;
  });
});

test("a scope that cannot be had is told, in the words of systemd-run", async () => {
  await withSystemd("echo no such thing here >&2; exit 7", async (tree, _, proc) => {
    await assert.rejects(openHome(tree, "cpu"), {
      code: "command-failed",
      message: /exit code 7: no such thing here/,
    });
    const group = await makeCpuGroup("board", proc);
    assert.ok(group.way === "none" && group.reason.includes("no such thing here"), group.reason);
    const memory = await makeMemoryGroup("board", 1000, { proc });
    assert.ok(memory.path === undefined && memory.reason.includes("no such thing here"));
    await assert.rejects(stat(tree.home), { code: "ENOENT" }, "nobody else makes it");
  });
});

test("a scope whose keeper was killed is as good, as long as it has boards", async () => {
  await withSystemd("exit 1", async (tree, root) => {
    await mkdir(join(root, scope, "board"), { recursive: true });
    await openHome(tree, "cpu");
    assert.equal(await readFile(join(root, scope, "cgroup.subtree_control"), "utf8"), "+cpu");
  });
});

test("a tree that is nobody's is left as it is", async () => {
  const sleeper = spawn("sleep", ["100"]);
  const files = {
    ...owned.files,
    "cg/keeper/cgroup.procs": `${sleeper.pid}\n`,
    "cg/init.scope/cgroup.procs": "",
  };
  const { "cg/init.scope/cgroup.procs": _, ...others } = files;
  await inMadeTrees({ ...owned, files: others }, async (root, proc) => {
    const tree = (await findCgroupTrees(proc)).unified;
    assert.equal(tree?.home, join(root, "cg"));
    await leaveHome(tree);
    assert.equal(sleeper.exitCode ?? sleeper.signalCode, null);
    const ended = once(sleeper, "exit");
    sleeper.kill();
    await ended;
  });
});
