/** A board's control groups: how they are frozen, and that they are removed, all of them within one time. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ContainerGroup, findHierarchies } from "../../src/board/container/container-group.ts";
import { whyNoContainers } from "../fixtures/container/subject.ts";

/** A minute: whoever gives a group that is busy all of its own time does not come to the others within this test's. */
const tries = 6000;

/** Of a group, wherever it is seen. */
async function idOf(path: string): Promise<string> {
  const { dev, ino } = await stat(path);
  return `${dev} ${ino}`;
}

test("groups that are empty do not wait for one that is busy, and that one is removed once it is empty", {
  skip: await whyNoContainers(),
  timeout: 30_000,
}, async ({ signal }) => {
  const name = `twinboard-test-removed-${process.pid}`;
  const group = new ContainerGroup(name);
  const { roots } = await findHierarchies();
  const parts = roots.flatMap((root) => ["board", "host"].map((part) => join(root, name, part)));
  const sleeper = spawn("sleep", ["infinity"], { stdio: "ignore" });
  const ended = once(sleeper, "exit");
  try {
    for (const path of parts) await mkdir(path, { recursive: true });
    let busy: string | undefined;
    // A tree of version 1 that has cores takes nobody before it was given some.
    for (const path of parts)
      busy ??= await writeFile(join(path, "cgroup.procs"), String(sleeper.pid)).then(
        () => path,
        () => undefined,
      );
    assert.ok(busy !== undefined);
    // A tree may be mounted more than once.
    const id = await idOf(busy);
    const ids = await Promise.all(parts.map(idOf));
    const others = parts.filter((_, index) => ids[index] !== id);
    const removed = group.remove(tries);
    while (others.some((path) => existsSync(path))) await sleep(5, undefined, { signal });
    assert.ok(existsSync(busy));
    sleeper.kill("SIGKILL");
    await removed;
    for (const root of roots) assert.ok(!existsSync(join(root, name)), root);
  } finally {
    sleeper.kill("SIGKILL");
    await ended;
    await group.remove();
  }
});

test("the kernel's freezer stays on as long as the board has groups, so that none waits for it to be switched", {
  skip: await whyNoFreezerOfVersion1(),
  timeout: 30_000,
}, async ({ signal }) => {
  const name = `twinboard-test-frozen-${process.pid}`;
  const group = new ContainerGroup(name);
  const { freezer } = await findHierarchies();
  const directory = join(freezer?.home ?? "", name);
  const states = async (): Promise<string[]> =>
    await Promise.all(
      ["board", "frozen"].map(async (part) =>
        (await readFile(join(directory, part, "freezer.state"), "utf8")).trim(),
      ),
    );
  try {
    await mkdir(join(directory, "board"), { recursive: true });
    for (const _ of [1, 2]) await group.freeze(signal);
    assert.deepEqual(await states(), ["FROZEN", "FROZEN"]);
    for (const _ of [1, 2]) await group.thaw();
    assert.deepEqual(await states(), ["THAWED", "FROZEN"]);
  } finally {
    await group.remove();
  }
  assert.ok(!existsSync(directory));
});

async function whyNoFreezerOfVersion1(): Promise<string | false> {
  const why = await whyNoContainers();
  if (why !== false) return why;
  return (await findHierarchies()).freezer?.version === 1
    ? false
    : "the freezer here is of version 2, and always on";
}
