import assert from "node:assert/strict";
import { test } from "node:test";
import { MachineSchedule } from "./machine-schedule.ts";

test("a look tells what a process did since the look before, and nothing of another process", () => {
  const schedule = new MachineSchedule();
  assert.equal(schedule.look(process.pid), undefined);
  let turns = 0;
  for (const until = performance.now() + 20; performance.now() < until; ) turns += 1;
  const stretch = schedule.look(process.pid);
  assert.ok(stretch !== undefined && turns > 0);
  assert.ok(stretch.passedNs >= 20e6, `${stretch.passedNs} ns passed`);
  assert.ok(stretch.runNs > 0, "it ran meanwhile");
  schedule.forget();
  assert.equal(schedule.look(process.pid), undefined, "what came before it was told to forget");
  assert.ok(schedule.look(process.pid) !== undefined);
  assert.equal(schedule.look(process.ppid), undefined);
  assert.equal(schedule.look(process.pid), undefined);
});
