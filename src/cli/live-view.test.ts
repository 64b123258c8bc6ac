import assert from "node:assert/strict";
import { test } from "node:test";
import type { Followed } from "./follow.ts";
import { frame } from "./live-view.ts";
import { nothingSeen, type StoryProgress, seen } from "./story-progress.ts";

const plain = { tick: 0, style: (_: unknown, text: string) => text };
const at = Date.UTC(2026, 0, 1);

function record(event: string, phase: string | null, seconds: number): Followed {
  const kind = "upgrade";
  const base = { v: 1, seq: seconds, boot: "b", story: "s", kind, data: {} };
  return { record: { ...base, event, phase, at: at + seconds * 1000 } } as Followed;
}

function story(...events: Followed[]): StoryProgress {
  return events.reduce(seen, nothingSeen("upgrade"));
}

const picture = (progress: StoryProgress, seconds: number, columns = 80): string[] =>
  frame("Upgrade of gateway from 1.0.0", progress, at + seconds * 1000, columns, plain);

test("the phases as a list, the one under way with its bytes", () => {
  const progress = story(
    record("story-began", null, 0),
    record("phase-began", "deliver", 0),
    record("phase-done", "deliver", 1),
    record("phase-began", "install", 2),
    {
      progress: {
        story: "s",
        phase: "install",
        awaiting: "slot b",
        bytes: 52_428_800,
        totalBytes: 209_715_200,
      },
    },
  );
  assert.deepEqual(picture(progress, 14), [
    "Upgrade of gateway from 1.0.0  14.0 s",
    "  ✔ deliver          1.0 s",
    "  · vacate",
    "  ⠋ install         12.0 s  █████░░░░░░░░░░░░░░░  25 % of 200.0 MiB",
    "  · boot",
    "  · verify",
    "  · takeover",
    "  · probation",
    "  · commit",
  ]);
});

test("what is awaited, flows that are left, a phase that failed, a daemon that is gone", () => {
  const probation = story(record("phase-began", "probation", 0), {
    progress: {
      story: "s",
      phase: "probation",
      awaiting: "the drain of board a",
      drain: { left: 1, finished: 0, closedEarly: 0, cut: 0, services: {} },
    },
  });
  assert.ok(
    picture(probation, 3).includes(
      "  ⠋ probation        3.0 s  awaiting the drain of board a, 1 flow left to drain",
    ),
  );
  const failed = [record("phase-failed", "probation", 4), record("undo-began", "probation", 4)].reduce(
    seen,
    probation,
  );
  assert.ok(picture(failed, 9).includes("  ✘ probation        4.0 s"));
  assert.equal(picture(failed, 9).at(-1), "  undoing what was done");
  const lost = seen(failed, { lost: new Error("x") as never });
  assert.match(picture(lost, 9).at(-1) ?? "", /^ {2}the daemon does not answer/);
  assert.doesNotMatch(picture(seen(lost, { found: true }), 9).join("\n"), /does not answer/);
});

test("no line is wider than a narrow terminal", () => {
  const progress = story(
    record("story-began", null, 0),
    record("phase-began", "verify", 0),
    { progress: { story: "s", phase: "verify", awaiting: "READY of board b, and of everything else" } },
    { lost: new Error("x") as never },
  );
  for (const columns of [20, 33, 40, 79]) {
    for (const line of picture(progress, 4000, columns))
      assert.ok(line.length <= columns, `${columns}: ${line}`);
  }
});
