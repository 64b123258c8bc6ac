import assert from "node:assert/strict";
import { test } from "node:test";
import type { BoardCondition } from "../board/board.ts";
import { factsOf, type StoryFacts } from "./facts.ts";
import type { JournalRecord, PhaseName, RecordEvent, StoryKind } from "./record.ts";
import { planRecovery } from "./recovery.ts";
import { rowsOf } from "./runner.ts";

const running: BoardCondition = { state: "running", instance: "i", pid: 1, startTicks: 1 };
const dead: BoardCondition = { ...running, state: "dead" };

type Events = [RecordEvent, PhaseName | null, Record<string, unknown>?][];

const facts = (...events: Events): StoryFacts => factsOfKind("upgrade", events);

function factsOfKind(kind: StoryKind, events: Events): StoryFacts {
  const all: typeof events = [["story-began", null, { to: "b", from: "a" }], ...events];
  return factsOf(
    all.map(
      ([event, phase, data = {}], index): JournalRecord => ({
        v: 1,
        seq: index + 1,
        boot: "boot-1",
        story: `000001-${kind}`,
        kind,
        phase,
        event,
        at: index,
        data,
      }),
    ),
  );
}

const plan = (
  known: StoryFacts,
  rebooted: boolean,
  newBoard: BoardCondition,
  committed = false,
  slotIsBad = false,
) => planRecovery(known, rowsOf(known), { rebooted, newBoard, committed, slotIsBad });

/** The table of docs/story.md, "Phases", for a phase that was begun and not done. */
const table: [phase: PhaseName, afterCrash: string, afterCrashWithDeadBoard: string, afterReboot: string][] =
  [
    ["deliver", "go-on", "go-on", "go-on"],
    ["vacate", "go-on", "go-on", "go-on"],
    ["install", "go-on", "go-on", "go-on"],
    ["boot", "go-on", "go-on", "roll-back"],
    ["verify", "go-on", "roll-back", "roll-back"],
    ["takeover", "go-on", "roll-back", "roll-back"],
    ["probation", "go-on", "roll-back", "roll-back"],
    ["commit", "go-on", "roll-back", "go-on"],
  ];

for (const [phase, afterCrash, afterCrashWithDeadBoard, afterReboot] of table) {
  test(`a crash in ${phase}`, () => {
    const begun = facts(["phase-began", phase]);
    assert.equal(plan(begun, false, running).action, afterCrash);
    assert.equal(plan(begun, false, dead).action, afterCrashWithDeadBoard);
    assert.equal(plan(begun, true, { state: "off" }).action, afterReboot);
  });
}

for (const kind of ["failover", "standby"] as const) {
  test(`a crash in each phase of a ${kind}`, () => {
    const has = rowsOf(factsOfKind(kind, [])).map(({ name }) => name);
    const phases =
      kind === "standby"
        ? ["boot", "verify", "commit"]
        : ["boot", "verify", "takeover", "probation", "commit"];
    assert.deepEqual(has, phases);
    for (const [phase, afterCrash, afterCrashWithDeadBoard, afterReboot] of table) {
      if (!has.includes(phase)) continue;
      const begun = factsOfKind(kind, [["phase-began", phase]]);
      assert.equal(plan(begun, false, running).action, afterCrash, phase);
      assert.equal(plan(begun, false, dead).action, afterCrashWithDeadBoard, phase);
      assert.equal(plan(begun, true, { state: "off" }).action, afterReboot, phase);
    }
  });
}

test("a standby that sleeps already when its daemon ends in commit is done", () => {
  const begun = factsOfKind("standby", [["phase-began", "commit"]]);
  const asleep: BoardCondition = { ...running, state: "dormant" };
  assert.deepEqual(plan(begun, false, asleep), { action: "go-on", phase: "commit" });
});

test("a phase that is done counts as the beginning of the next", () => {
  const done = facts(["phase-began", "install"], ["phase-done", "install"]);
  assert.deepEqual(plan(done, false, running), { action: "go-on", phase: "boot" });
  assert.deepEqual(plan(done, true, { state: "off" }), {
    action: "roll-back",
    phase: "boot",
    reason: "reboot",
  });
});

test("what was being undone is undone to its end; what is past the commit goes forward", () => {
  const error = { code: "board-died", message: "", remedy: "", phase: "probation", console: [] };
  const undoing = facts(["phase-began", "probation"], ["phase-failed", "probation", { error }]);
  assert.deepEqual(plan(undoing, false, running), {
    action: "roll-back",
    phase: "probation",
    reason: "undo",
  });
  const committing = facts(["phase-began", "commit"], ["phase-failed", "commit", { error }]);
  assert.deepEqual(plan(committing, false, running, true), { action: "go-on", phase: "commit" });
  assert.deepEqual(plan(committing, false, running), {
    action: "roll-back",
    phase: "commit",
    reason: "undo",
  });
});

test("what is committed goes forward whatever became of the board; what has a bad slot was undone", () => {
  const forward = { action: "go-on", phase: "commit" };
  const done = facts(["phase-began", "probation"], ["phase-done", "probation"]);
  assert.deepEqual(plan(done, false, dead, true), forward);
  assert.deepEqual(plan(done, true, { state: "off" }, true), forward);
  assert.deepEqual(plan(done, true, { state: "off" }), forward);
  const undone = { action: "roll-back", phase: "commit", reason: "undo" };
  assert.deepEqual(plan(done, true, { state: "off" }, false, true), undone);
  assert.deepEqual(plan(done, false, running, false, true), undone);
});

test("a board that sleeps in verify, takeover or probation has been put away", () => {
  for (const phase of ["verify", "takeover", "probation"] as const) {
    const begun = facts(["phase-began", phase]);
    assert.equal(plan(begun, false, { ...running, state: "dormant" }).action, "roll-back");
  }
});

test("a story that has not entered a phase begins; one that has ended is left alone", () => {
  assert.deepEqual(plan(facts(), false, { state: "off" }), { action: "go-on", phase: null });
  const ended = facts(["phase-began", "commit"], ["story-ended", null, { result: { outcome: "committed" } }]);
  assert.deepEqual(plan(ended, false, running), { action: "nothing" });
});
