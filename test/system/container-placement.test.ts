/** Real containers on the cores that they are given, with the memory and the share of a processor that they are given. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { BoardPlacement } from "../../src/board/board.ts";
import { findHierarchies } from "../../src/board/container/container-group.ts";
import { findCgroupTrees } from "../../src/system/cgroup-trees.ts";
import { coreListText } from "../../src/system/core-list.ts";
import { hostCores } from "../../src/system/host-cores.ts";
import { run } from "../../src/system/process.ts";
import { threadsOf } from "../../src/system/thread-affinity.ts";
import { ConsoleShell } from "../fixtures/board/console-shell.ts";
import {
  type ContainerSubject,
  makeContainerSubject,
  whyNoContainers,
} from "../fixtures/container/subject.ts";
import { heldByAffinity, heldByCpuset } from "../fixtures/held-process.ts";

const { allowed } = await hostCores();
const [one = 0, two] = allowed;
const skip =
  (await whyNoContainers()) || (two === undefined ? `needs two cores, has ${coreListText(allowed)}` : false);

type Board = ContainerSubject["board"];

function on(
  name: string,
  body: (subject: ContainerSubject, signal: AbortSignal) => Promise<void>,
  placement: BoardPlacement = { cores: [two ?? 0], emulator: [one] },
): void {
  void test(name, { skip, timeout: 90_000 }, async ({ signal }) => {
    await using subject = await makeContainerSubject({ placement });
    await body(subject, signal);
  });
}

/** Lists of cores that its threads have, each once. */
async function coresOf(board: Board): Promise<string[]> {
  const pids = await board.processes();
  assert.ok(pids.length > 1, "its init has children");
  const threads = pids.flatMap(threadsOf);
  return [...new Set(threads.map(({ cores }) => coreListText(cores)))];
}

async function untilOn(cores: readonly number[], board: Board, signal: AbortSignal): Promise<void> {
  while ((await coresOf(board)).join(" ") !== coreListText(cores)) await sleep(100, undefined, { signal });
}

/** Version 1: what the kernel does when all cores but these go offline (cpuset(7), "Hotplug"), for a board's groups alone. */
async function loseAllBut(left: readonly number[], board: Board): Promise<"lost" | "no version 1"> {
  const { cores } = await findHierarchies();
  if (cores?.version !== 1) return "no version 1";
  const pid = await pidOf(board);
  const path = /^\d+:cpuset:(.*)$/m.exec(await readFile(`/proc/${pid}/cgroup`, "utf8"))?.[1] ?? "";
  const group = join(cores.mount, path);
  if (left.length === 0) await loseAll(group, board);
  else
    for (const each of [group, join(group, "..")])
      await writeFile(join(each, "cpuset.cpus"), coreListText(left));
  return "lost";
}

/** A group that has none left is left by all that is in it; again while one begins or ends meanwhile, as programs of a board do. */
async function loseAll(group: string, board: Board): Promise<void> {
  for (const deadline = performance.now() + 10_000; ; )
    try {
      for (const pid of await board.processes()) await writeFile(join(group, "../cgroup.procs"), String(pid));
      return await writeFile(join(group, "cpuset.cpus"), "\n");
    } catch (error) {
      const isPassing = ["ENOSPC", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "");
      if (!isPassing || performance.now() > deadline) throw error;
    }
}

async function pidOf(board: Board): Promise<number> {
  const condition = await board.inspect();
  assert.ok(condition.state !== "off");
  return condition.pid;
}

async function untilNothingLacks(board: Board, signal: AbortSignal): Promise<void> {
  while ((await board.confinement()).lacks.length > 0) await sleep(100, undefined, { signal });
}

describe("how the host holds a container", { concurrency: 1 }, () => {
  on(
    "all of its processes are on its cores, from the start, after a move and asleep; a later daemon moves them too",
    async ({ board, software, restart }, signal) => {
      await board.start(software(), signal);
      await board.ready(signal);
      assert.deepEqual(await coresOf(board), [String(two)], "an emulator's cores are not its own");
      await board.place({ cores: [one], emulator: null }, signal);
      assert.deepEqual(await coresOf(board), [String(one)]);
      await board.pause(signal);
      await board.place({ cores: [one, two ?? 0], emulator: null }, signal);
      assert.deepEqual(await coresOf(board), [coreListText([one, two ?? 0])]);
      assert.equal((await board.inspect()).state, "dormant");
      await board.release();
      await restart().setUp(signal);
      assert.deepEqual(await coresOf(board), [String(two)], "what its configuration says");
    },
  );

  for (const placement of [
    { cores: null, emulator: null },
    { cores: [one, two ?? 0], emulator: null },
  ])
    on(
      `a core that was offline for a while is the board's again, ${placement.cores === null ? "of all" : "of those it was given"}, also while it sleeps`,
      async ({ board, software }, signal) => {
        await board.start(software(), signal);
        await board.ready(signal);
        const all = await coresOf(board);
        if ((await loseAllBut([one], board)) === "no version 1") return;
        assert.deepEqual(await coresOf(board), [String(one)]);
        await untilOn(allowed, board, signal);
        await board.pause(signal);
        await loseAllBut([two ?? 0], board);
        await untilOn(allowed, board, signal);
        assert.deepEqual(await coresOf(board), all);
      },
      placement,
    );

  on("the only core of a board was offline for a while: it is back on it", async (subject, signal) => {
    const { board, software } = subject;
    await board.start(software(), signal);
    await board.ready(signal);
    if ((await loseAllBut([], board)) === "no version 1") return;
    await untilOn([two ?? 0], board, signal);
    await untilNothingLacks(board, signal);
  });

  for (const [by, hold] of [
    ["affinity", heldByAffinity],
    ["cpuset", heldByCpuset],
  ] as const)
    test(`a board without cores of its own has those of the daemon, which is held by its ${by}`, {
      skip,
      timeout: 90_000,
    }, async ({ signal }) => {
      await using held = await hold(two ?? 0);
      if (held === undefined) return;
      await using subject = await makeContainerSubject();
      const { board, software } = subject;
      await board.start(software(), signal);
      await board.ready(signal);
      assert.deepEqual(await coresOf(board), [String(two)]);
      assert.equal((await board.confinement()).cores, String(two));
      const { cores } = await findHierarchies();
      if (cores !== undefined) {
        // Nor can it get away from there.
        await run("taskset", ["-a", "-p", "-c", coreListText(allowed), String(await pidOf(board))]);
        assert.deepEqual(await coresOf(board), [String(two)]);
      }
      await board.place({ cores: [two ?? 0], emulator: null }, signal);
      await board.place({ cores: null, emulator: null }, signal);
      assert.deepEqual(await coresOf(board), [String(two)], "nor are all given back to it");
    });

  on(
    "the daemon's cores change while the board runs: so do the board's",
    async (subject, signal) => {
      const { board, software } = subject;
      await board.start(software(), signal);
      await board.ready(signal);
      const all = await coresOf(board);
      {
        await using _ = await heldByAffinity(one);
        await untilOn([one], board, signal);
      }
      while ((await coresOf(board)).join() !== all.join()) await sleep(100, undefined, { signal });
    },
    { cores: null, emulator: null },
  );

  on("cores that the kernel refuses: told, and the board stays where it was", async (subject, signal) => {
    const { board, software } = subject;
    await board.start(software(), signal);
    await board.ready(signal);
    await assert.rejects(board.place({ cores: [4000], emulator: null }, signal), { code: "command-failed" });
    assert.deepEqual(await coresOf(board), [String(two)]);
    const [lack] = (await board.confinement()).lacks;
    assert.match(lack ?? "", /threads? may use other cores than configured .*4000/);
  });

  on("a process that somebody takes out of its groups is told, and put back", async (subject, signal) => {
    const { board, software } = subject;
    await board.start(software(), signal);
    await board.ready(signal);
    const pid = await pidOf(board);
    const { cores, freezer } = await findHierarchies();
    const pids = (await findCgroupTrees()).of("pids");
    for (const tree of [cores, freezer, pids])
      if (tree !== undefined) await writeFile(join(tree.mount, "cgroup.procs"), String(pid));
    assert.equal((await board.inspect()).state, "running", "it is still the board");
    assert.match((await board.confinement()).lacks.join("\n"), /1 thread is outside its control group/);
    await untilNothingLacks(board, signal);
    assert.ok((await board.processes()).includes(pid));
    assert.deepEqual(await coresOf(board), [String(two)]);
  });

  on(
    "a board boots beside one that saturates its core: it is raised from the idle class, and has all of it from the takeover on",
    async ({ board, software }, signal) => {
      const other = spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" });
      await run("taskset", ["-a", "-p", "-c", String(two), String(other.pid)], { signal });
      try {
        // It never rests: how long a boot takes says nothing, and it wants to run all the time.
        const start = { ...software(), priority: "background", kernelArguments: "test.busy=1" } as const;
        await board.setUp(signal);
        if ((await board.confinement()).sharePercent === null) return;
        const starting = board.start(start, signal);
        const failed = new AbortController();
        starting.catch(() => failed.abort());
        const seen = new Set<number | null>();
        // A step lasts for a twentieth of a second.
        for (let now: number | null = 0; !failed.signal.aborted && !(seen.has(0) && now === 125); ) {
          now = (await board.confinement()).sharePercent;
          seen.add(now);
          await sleep(5, undefined, { signal });
        }
        await starting;
        assert.ok(seen.has(0), `seen: ${[...seen].join()}`);
        await board.ready(signal);
        // The story says it again once the board runs: what it was raised to is not taken away by that.
        await board.setPriority("background");
        assert.equal((await board.confinement()).sharePercent, 125);
        await board.setPriority("service");
        assert.equal((await board.confinement()).sharePercent, 100);
        await board.setPriority("background");
        assert.equal((await board.confinement()).sharePercent, 0);
      } finally {
        other.kill("SIGKILL");
      }
    },
  );
});

for (const runtime of ["crun", "runc"] as const)
  test(`${runtime}: a container that takes more memory than it may: what it died of is told`, {
    skip: await whyNoContainers(runtime),
    timeout: 90_000,
  }, async ({ signal }) => {
    await using subject = await makeContainerSubject({ runtime, memoryBytes: 64 * 1024 * 1024 });
    const { board, software, kill } = subject;
    await board.setUp(signal);
    if ((await board.confinement()).lacks.some((lack) => lack.startsWith("its memory is not limited")))
      return;
    const deathOf = (): Promise<string> =>
      new Promise((resolve) => {
        const end = board.subscribe((event) => {
          if (event.type !== "died") return;
          end();
          resolve(event.detail);
        });
      });
    const told =
      /; the kernel killed a process of it, which wanted more memory than .* \(64 MiB; boards\.memory\)$/;
    const atFirst = deathOf();
    await board.start({ ...software(), kernelArguments: "test.hog=1" }, signal);
    assert.match(await atFirst, told);

    await board.start(software(), signal);
    await board.ready(signal);
    const atEnd = deathOf();
    await kill();
    assert.doesNotMatch(await atEnd, told, "that was the last run's");

    await board.start(software(), signal);
    await board.ready(signal);
    const shell = await ConsoleShell.open(board, signal);
    assert.match(await shell.run("dd if=/dev/zero of=/dev/null bs=128M; echo status $?"), /status 137/);
    const { memoryKills, lacks } = await board.confinement();
    assert.equal(memoryKills, 1);
    const survived = /^1 of its processes was killed by the kernel .* \(64 MiB; boards\.memory\)$/;
    assert.ok(
      lacks.some((text) => survived.test(text)),
      lacks.join("\n"),
    );
    assert.equal((await board.inspect()).state, "running", "the largest is killed, and its init is small");
    const atLast = deathOf();
    await kill();
    assert.match(await atLast, told);
  });
