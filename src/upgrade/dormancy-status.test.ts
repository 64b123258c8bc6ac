import assert from "node:assert/strict";
import { test } from "node:test";
import { dormancyStatus, type Sleeper } from "./dormancy-status.ts";
import type { JournalRecord, PhaseName, RecordEvent } from "./record.ts";
import { freshSystem, type SystemState } from "./system-file.ts";

const condition = { state: "dormant", instance: "this run", pid: 1, startTicks: 1 } as const;
const content = { version: "2", digest: "", images: {}, sha256: {}, kernelArguments: "" };
const state: SystemState = {
  ...freshSystem,
  slots: { a: { mark: "good", content: { ...content, version: "3" } }, b: { mark: "good", content } },
  dormant: { board: "b", instance: "this run", since: 500, cpuNs: 9, depth: "lean" },
};

function sleeper(changes: Partial<Sleeper> = {}): Sleeper {
  const records: JournalRecord[] = [];
  const usual = { board: "b", kind: "qemu", holder: "a", story: null, depth: "lean", condition } as const;
  return { ...usual, state, records, ...changes };
}

/** A story of board b that begins at `at` and is verified, its phases as long as they are said to be. */
function story(id: string, at: number, data: Record<string, unknown>, boot: number, verify: number) {
  const record = (event: RecordEvent, phase: PhaseName | null, when: number, noted = {}): JournalRecord => {
    const { v, seq, kind } = { v: 1, seq: 0, kind: "rollback" } as const;
    return { v, seq, boot: "this boot", story: id, kind, phase, event, at: when, data: noted };
  };
  return [
    record("story-began", null, at, { to: "b", toVersion: "2", toKind: "qemu", ...data }),
    record("phase-began", "boot", at),
    record("phase-done", "boot", at + boot),
    record("phase-began", "verify", at + boot),
    record("phase-done", "verify", at + boot + verify),
  ];
}

test("the way back of one that is dormant is the newest wake of a board of its kind", () => {
  const wake = (id: string, ms: number, data = {}) => story(id, 1000, { woken: true, ...data }, ms, 90);
  const records = [...wake("1", 5), ...wake("2", 6), ...wake("3", 70, { toKind: "container" })];
  const booted = story("4", 2000, { woken: false }, 8000, 900);
  const all = sleeper({ records: [...records, ...booted] });
  assert.deepEqual(dormancyStatus(all), { depth: "lean", since: 500, wayBackMs: 6 });
  assert.equal(dormancyStatus({ ...all, kind: "container" })?.wayBackMs, 70);
  assert.equal(dormancyStatus(sleeper({ records: booted }))?.wayBackMs, null);
});

test("the way back of one that is off is the newest boot of its own software, verified", () => {
  const off = { condition: { state: "off" }, depth: "off" } as const;
  const booted = (id: string, ms: number, data = {}) => story(id, 400, { woken: false, ...data }, ms, 900);
  const records = [
    ...booted("1", 8000),
    ...booted("2", 1, { to: "a" }),
    ...booted("3", 2, { toVersion: "1" }),
  ];
  const stopped = {
    ...state,
    dormant: { board: "b", instance: "x", since: 500, cpuNs: 0, depth: "off" } as const,
  };
  const all = sleeper({ ...off, records, state: stopped });
  assert.deepEqual(dormancyStatus(all), { depth: "off", since: 500, wayBackMs: 8900 });
  const unverified = booted("4", 3).slice(0, -1);
  assert.equal(dormancyStatus({ ...all, records: [...records, ...unverified] })?.wayBackMs, 8900);
  const later = story("5", 600, { woken: false }, 7000, 100);
  assert.deepEqual(dormancyStatus({ ...all, records: later }), {
    depth: "off",
    since: null,
    wayBackMs: 7100,
  });
  assert.equal(dormancyStatus({ ...all, state })?.since, null, "what was written down is of a pause");
});

test("what is not known is not told, and nothing of a board that is neither dormant nor kept off", () => {
  const unknown = { depth: null, since: null, wayBackMs: null };
  const other = { ...state, dormant: { board: "b", instance: "another run", since: 1, cpuNs: 0 } as const };
  assert.deepEqual(dormancyStatus(sleeper({ state: other })), unknown);
  const off = { state: "off" } as const;
  assert.equal(dormancyStatus(sleeper({ condition: { ...condition, state: "running" } })), null);
  assert.equal(
    dormancyStatus(sleeper({ condition: off })),
    null,
    "it is to sleep, and is off for another reason",
  );
  for (const holder of ["b", null] as const)
    assert.equal(dormancyStatus(sleeper({ condition: off, depth: "off", holder })), null);
  const bad = { ...state, slots: { ...state.slots, b: { mark: "bad", content: null } as const } };
  assert.equal(dormancyStatus(sleeper({ condition: off, depth: "off", state: bad })), null);
});
