/** A container that has all the processes that it may have: that is told, and a hook that cannot be run says so. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { ContainerGroup } from "../../src/board/container/container-group.ts";
import { findCgroupTrees } from "../../src/system/cgroup-trees.ts";
import { makeContainerSubject, whyNoContainers } from "../fixtures/container/subject.ts";

test("a board with all the processes that it may have", {
  skip: await whyNoContainers("runc"),
  timeout: 60_000,
}, async ({ signal }) => {
  await using subject = await makeContainerSubject({ runtime: "runc" });
  const { board, software, options } = subject;
  await board.start(software(), signal);
  await board.ready(signal);
  assert.deepEqual((await board.confinement()).lacks, []);
  const tree = (await findCgroupTrees()).of("pids");
  if (tree === undefined) return;
  const group = join(tree.home, new ContainerGroup(`twinboard-${options.names.system}-a`).path);
  const has = (await readFile(join(group, "pids.current"), "utf8")).trim();
  // As if it had begun a thousand others.
  await writeFile(join(group, "pids.max"), has);
  const told = new RegExp(`it has all the processes and threads that it may have \\(${has}\\)`);
  assert.match((await board.confinement()).lacks.join(), told);
  await assert.rejects(board.runHook("activate", signal), { code: "hook-failed", message: told });
  await writeFile(join(group, "pids.max"), "1024");
  assert.deepEqual((await board.confinement()).lacks, []);
  assert.equal(await board.runHook("activate", signal), "done");
});
