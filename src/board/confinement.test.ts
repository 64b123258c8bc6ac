import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type BoardGroups, Confinement } from "./confinement.ts";

const nothing = (): Promise<void> => Promise.resolve();

const noGroups: BoardGroups = {
  cpu: undefined,
  memory: undefined,
  coresReason: null,
  make: nothing,
  bound: nothing,
  keep: nothing,
  homes: () => Promise.resolve([]),
  forget: nothing,
  remove: nothing,
};
const memory = { limitBytes: 0, basis: "", victim: "" };

test("threads outside a board's group, and those that may use other cores, are told in the number that they have", async (t) => {
  const group = await mkdtemp(join(tmpdir(), "confinement-"));
  t.after(async () => await rm(group, { recursive: true }));
  await writeFile(join(group, "tasks"), "");
  // Of one thread each.
  const programs = [1, 2].map(() => spawn("sleep", ["60"], { stdio: "ignore" }));
  t.after(() => programs.every((program) => program.kill()));
  await Promise.all(programs.map(async (program) => await once(program, "spawn")));
  const pids = programs.map(({ pid }) => pid ?? 0);
  const homes = [{ group, within: [group] }];
  const groups: BoardGroups = { ...noGroups, homes: () => Promise.resolve(homes) };
  const told = async (count: number): Promise<readonly string[]> => {
    const confinement = new Confinement({
      groups,
      processes: () => Promise.resolve(pids.slice(0, count)),
      // A core that no host has: whatever a thread may use is another.
      placement: { cores: [4095], emulator: null },
      schedule: () => Promise.resolve(undefined),
      rivals: 1,
      memory,
    });
    return (await confinement.of()).lacks;
  };
  assert.deepEqual(await told(1), [
    "1 thread may use other cores than configured (sleep)",
    `1 thread is outside its control group ${group}`,
  ]);
  assert.deepEqual(await told(2), [
    "2 threads may use other cores than configured (sleep)",
    `2 threads are outside its control group ${group}`,
  ]);
});

test("a board that comes to the background is not raised for how it fared before", async (t) => {
  const path = await mkdtemp(join(tmpdir(), "confinement-"));
  t.after(async () => await rm(path, { recursive: true }));
  const read = async (): Promise<string> => await readFile(join(path, "cpu.idle"), "utf8");
  await writeFile(join(path, "cpu.idle"), "0");
  const looked = Promise.withResolvers<void>();
  let waitedNs = 1e9;
  const confinement = new Confinement({
    groups: { ...noGroups, cpu: { way: "cpu.idle", reason: "", path } },
    processes: () => Promise.resolve([]),
    placement: undefined,
    schedule: async () => {
      const stretch = { runNs: 0, waitNs: waitedNs, passedNs: 1e9 };
      setImmediate(looked.resolve);
      return await Promise.resolve(stretch);
    },
    beginStretch: () => (waitedNs = 0),
    rivals: 1,
    memory,
  });
  await confinement.setPriority("background");
  await looked.promise;
  assert.equal(await read(), "1");
  await confinement.setPriority("service");
  assert.equal(await read(), "0");
});

test("each look gives the groups their cores again", async () => {
  const kept: (readonly number[] | null)[] = [];
  const keep = (cores: readonly number[] | null): Promise<void> => Promise.resolve(void kept.push(cores));
  const confinement = new Confinement({
    groups: { ...noGroups, keep },
    processes: () => Promise.resolve([]),
    placement: { cores: [1], emulator: [0] },
    schedule: () => Promise.resolve(undefined),
    isProcessor: () => true,
    rivals: 1,
    memory,
  });
  await confinement.tend();
  await confinement.place({ cores: [2], emulator: null }, AbortSignal.timeout(1000));
  await confinement.tend();
  assert.deepEqual(kept, [[1, 0], [2]]);
});
