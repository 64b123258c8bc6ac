/** Real machines on the cores that they are given: every thread, apart where that is asked for, and put back when it strays. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { machineDirectory, recordDirectory } from "../../src/board/qemu/board-directories.ts";
import { MachineSockets } from "../../src/board/qemu/machine-sockets.ts";
import { isProcessor } from "../../src/board/qemu/machine-threads.ts";
import { QmpConnection } from "../../src/board/qemu/qmp.ts";
import { coreListText } from "../../src/system/core-list.ts";
import { hostCores } from "../../src/system/host-cores.ts";
import { run } from "../../src/system/process.ts";
import { threadsOf } from "../../src/system/thread-affinity.ts";
import { whyNoMachines } from "../fixtures/board/host.ts";
import { makeQemuSubject, type QemuSubject } from "../fixtures/board/qemu-subject.ts";
import { heldByAffinity, heldByCpuset } from "../fixtures/held-process.ts";

const { allowed } = await hostCores();
const [one, two] = allowed;
const skip =
  (await whyNoMachines()) || (two === undefined ? `needs two cores, has ${coreListText(allowed)}` : false);

function on(name: string, body: (subject: QemuSubject, signal: AbortSignal) => Promise<void>): void {
  void test(name, { skip, timeout: 90_000 }, async ({ signal }) => {
    await using subject = await makeQemuSubject({
      cpus: 2,
      placement: { cores: [two ?? 0], emulator: [one ?? 0] },
    });
    await body(subject, signal);
  });
}

/** Cores of each thread, virtual processors first. */
function threads(pid: number): { readonly processors: string[]; readonly others: string[] } {
  const all = threadsOf(pid);
  const cores = (some: typeof all): string[] => [
    ...new Set(some.map((thread) => coreListText(thread.cores))),
  ];
  return {
    processors: cores(all.filter(isProcessor)),
    others: cores(all.filter((thread) => !isProcessor(thread))),
  };
}

/** Of version 1, the cores of its cpuset; what is expected anyway where there is none. */
async function cpusetOf(pid: number, { name }: QemuSubject["board"]): Promise<string> {
  const path = await cpusetPath(pid);
  if (path === undefined) return coreListText([one ?? 0, two ?? 0]);
  assert.ok(path.endsWith(`-${name}`), path);
  return (await readFile(join(path, "cpuset.cpus"), "utf8")).trim();
}

/** Directory of its group in version 1; `undefined` where there is none. */
async function cpusetPath(pid: number): Promise<string | undefined> {
  const path = /^\d+:cpuset:(.*)$/m.exec(await readFile(`/proc/${pid}/cgroup`, "utf8"))?.[1];
  return path === undefined ? undefined : join("/sys/fs/cgroup/cpuset", path);
}

async function pidOf({ board }: QemuSubject): Promise<number> {
  const condition = await board.inspect();
  assert.ok(condition.state !== "off");
  return condition.pid;
}

for (const [by, hold] of [
  ["affinity", heldByAffinity],
  ["cpuset", heldByCpuset],
] as const)
  void test(`a machine without cores of its own has those of the daemon, which is held by its ${by}`, {
    skip,
    timeout: 90_000,
  }, async ({ signal }) => {
    await using held = await hold(two ?? 0);
    if (held === undefined) return;
    await using subject = await makeQemuSubject();
    const { board, software } = subject;
    await board.start(software(), signal);
    const pid = await pidOf(subject);
    const here = { processors: [String(two)], others: [String(two)] };
    assert.deepEqual(threads(pid), here);
    assert.equal((await board.confinement()).cores, String(two));
    await board.place({ cores: [two ?? 0], emulator: null }, signal);
    await board.place({ cores: null, emulator: null }, signal);
    assert.deepEqual(threads(pid), here, "nor are all given back to it");
    // Where there is a group of its own it cannot get away from there; else it is brought back.
    await run("taskset", ["-a", "-p", "-c", coreListText(allowed), String(pid)], { signal });
    while (!isDeepStrictEqual(threads(pid), here)) await sleep(100, undefined, { signal });
  });

void test("a machine that takes more memory than it may: what it died of is told", {
  skip,
  timeout: 90_000,
}, async ({ signal }) => {
  await using subject = await makeQemuSubject({ memoryLimitBytes: 48 * 1024 * 1024 });
  const { board, software } = subject;
  const death = Promise.withResolvers<string>();
  board.subscribe((event) => {
    if (event.type === "died") death.resolve(event.detail);
  });
  await board.setUp(signal);
  if ((await board.confinement()).lacks.some((lack) => lack.startsWith("its memory is not limited"))) return;
  // It may end before it can be asked anything.
  board.start(software(), signal).catch((error: Error) => death.resolve(error.message));
  assert.match(await death.promise, /the kernel killed it, which wanted more memory than .* \(48 MiB;/);
});

describe("placement of QEMU machines", { concurrency: 1 }, () => {
  on(
    "virtual processors and all other threads are where they belong, also after a move",
    async (subject, signal) => {
      const { board, software } = subject;
      await board.start(software(), signal);
      const pid = await pidOf(subject);
      assert.deepEqual(threads(pid), { processors: [String(two)], others: [String(one)] });
      await board.ready(signal);
      assert.deepEqual(threads(pid), { processors: [String(two)], others: [String(one)] });
      await board.place({ cores: [one ?? 0], emulator: [two ?? 0] }, signal);
      assert.deepEqual(threads(pid), { processors: [String(one)], others: [String(two)] });
      assert.equal(await cpusetOf(pid, board), coreListText([one ?? 0, two ?? 0]), "its cpuset has both");
      await board.pause(signal);
      await board.place({ cores: [two ?? 0], emulator: null }, signal);
      assert.deepEqual(threads(pid), { processors: [String(two)], others: [String(two)] });
      assert.equal((await board.inspect()).state, "dormant");
    },
  );

  on(
    "threads that are known by their names are those that QEMU itself calls its processors",
    async (subject, signal) => {
      const { board, software, options } = subject;
      await board.start(software(), signal);
      const pid = await pidOf(subject);
      await board.release();
      const { names, name, user } = options;
      const sockets = new MachineSockets(
        machineDirectory(names, name),
        recordDirectory(names, name),
        user.uid,
      );
      const listener = { onEvent: () => undefined, onEnd: () => undefined };
      const qmp = await QmpConnection.open(await sockets.connect("qmp"), listener);
      const answer = (await qmp.execute("query-cpus-fast", undefined, signal)) as { "thread-id": number }[];
      qmp.close();
      const byName = threadsOf(pid)
        .filter(isProcessor)
        .map(({ id }) => id);
      assert.deepEqual(
        byName,
        answer.map((cpu) => cpu["thread-id"]).toSorted((a, b) => a - b),
      );
      assert.equal(byName.length, 2);
    },
  );

  on(
    "a thread that strays is put back; a later daemon moves what an earlier one placed",
    async (subject, signal) => {
      const { board, software, restart } = subject;
      await board.start(software(), signal);
      const pid = await pidOf(subject);
      await run("taskset", ["-a", "-p", "-c", coreListText([one ?? 0, two ?? 0]), String(pid)], { signal });
      const [lack] = (await board.confinement()).lacks;
      assert.match(lack ?? "", /^\d+ threads? may use other cores than configured/);
      while ((await board.confinement()).lacks.length > 0) await sleep(100, undefined, { signal });
      assert.deepEqual(threads(pid), { processors: [String(two)], others: [String(one)] });
      await board.place({ cores: [one ?? 0], emulator: null }, signal);
      await board.release();
      await restart().setUp(signal);
      assert.deepEqual(threads(pid), { processors: [String(two)], others: [String(one)] });
    },
  );

  on("a core that was offline for a while is the machine's again", async (subject, signal) => {
    const { board, software } = subject;
    await board.start(software(), signal);
    const pid = await pidOf(subject);
    const path = await cpusetPath(pid);
    if (path === undefined) return;
    const given = { processors: [String(two)], others: [String(one)] };
    const untilBack = async (): Promise<void> => {
      while (!isDeepStrictEqual(threads(pid), given)) await sleep(100, undefined, { signal });
      while ((await board.confinement()).lacks.length > 0) await sleep(100, undefined, { signal });
      assert.equal(await cpusetOf(pid, board), coreListText([one ?? 0, two ?? 0]));
    };
    // What the kernel does of itself (cpuset(7), "Hotplug").
    await writeFile(join(path, "cpuset.cpus"), String(one));
    assert.deepEqual(threads(pid).processors, [String(one)]);
    await untilBack();
    // Without any core of its own it is left by all that is in it.
    await writeFile(join(path, "../cgroup.procs"), String(pid));
    await writeFile(join(path, "cpuset.cpus"), "\n");
    await untilBack();
  });

  on("cores that the kernel refuses: told, and the board stays where it was", async (subject, signal) => {
    const { board, software } = subject;
    await board.start(software(), signal);
    const pid = await pidOf(subject);
    await assert.rejects(board.place({ cores: [4000], emulator: null }, signal), { code: "command-failed" });
    assert.deepEqual(threads(pid), { processors: [String(two)], others: [String(one)] });
    const [lack] = (await board.confinement()).lacks;
    assert.match(lack ?? "", /threads? may use other cores than configured .*4000/);
  });

  on("a machine that leaves its control group is brought back", async ({ board, software }, signal) => {
    await board.start(software(), signal);
    const { path } = board.priority ?? {};
    const condition = await board.inspect();
    if (path === undefined || condition.state === "off") return;
    await writeFile(join(path, "../cgroup.procs"), String(condition.pid));
    assert.match((await board.confinement()).lacks.join(), /\d+ threads? (is|are) outside its control group/);
    while ((await board.confinement()).lacks.length > 0) await sleep(100, undefined, { signal });
    const inside = await readFile(join(path, "cgroup.procs"), "utf8");
    assert.match(inside, new RegExp(`^${condition.pid}$`, "m"));
  });

  on(
    "a board boots beside one that saturates its core: it is raised from the idle class, and has all of it from the takeover on",
    async ({ board, software }, signal) => {
      await board.place({ cores: [two ?? 0], emulator: null }, signal);
      const other = spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" });
      await run("taskset", ["-a", "-p", "-c", String(two), String(other.pid)], { signal });
      try {
        const starting = board.start(software(), signal);
        const seen = new Set<number | null>();
        let started = false;
        void starting.then(
          () => (started = true),
          () => (started = true),
        );
        for (let ready = false; !ready; await sleep(200, undefined, { signal })) {
          seen.add((await board.confinement()).sharePercent);
          if (started) ready = await isReady(board);
        }
        await starting;
        if ((await board.confinement()).sharePercent === null) return;
        assert.ok(
          [...seen].some((percent) => percent !== null && percent >= 10),
          `seen: ${[...seen].join()}`,
        );
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

async function isReady(board: QemuSubject["board"]): Promise<boolean> {
  return await board.ready(AbortSignal.timeout(500)).then(
    () => true,
    () => false,
  );
}
