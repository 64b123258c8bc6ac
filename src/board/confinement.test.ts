import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type BoardGroups, Confinement } from "./confinement.ts";

const nothing = (): Promise<void> => Promise.resolve();

test("threads outside a board's group, and those that may use other cores, are told in the number that they have", async (t) => {
  const group = await mkdtemp(join(tmpdir(), "confinement-"));
  t.after(async () => await rm(group, { recursive: true }));
  await writeFile(join(group, "tasks"), "");
  // Of one thread each.
  const programs = [1, 2].map(() => spawn("sleep", ["60"], { stdio: "ignore" }));
  t.after(() => programs.every((program) => program.kill()));
  await Promise.all(programs.map(async (program) => await once(program, "spawn")));
  const pids = programs.map(({ pid }) => pid ?? 0);
  const groups: BoardGroups = {
    cpu: undefined,
    memory: undefined,
    coresReason: null,
    make: nothing,
    bound: nothing,
    homes: () => Promise.resolve([{ group, within: [group] }]),
    forget: nothing,
    remove: nothing,
  };
  const told = async (count: number): Promise<readonly string[]> => {
    const confinement = new Confinement({
      groups,
      processes: () => Promise.resolve(pids.slice(0, count)),
      // A core that no host has: whatever a thread may use is another.
      placement: { cores: [4095], emulator: null },
      schedule: () => Promise.resolve(undefined),
      rivals: 1,
      memory: { limitBytes: 0, basis: "", victim: "" },
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
