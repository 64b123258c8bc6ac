/** The course of a story: which phases were run, in order, how each run ended, and which daemons took it up again. */
import type { NotedFacts } from "./facts.ts";
import type { JournalRecord, PhaseName } from "./record.ts";
import type { RecoveryPlan } from "./recovery.ts";
import type { StoryResult } from "./status.ts";

/**
 * *done*; *undone*: it was done, and the way back was taken over it. *failed*. *interrupted*: the daemon or the host ended in the middle of
 * it. *under-way*: nothing was recorded of its end yet.
 */
export const phaseEnds = ["done", "undone", "failed", "interrupted", "under-way"] as const;
export type PhaseEnd = (typeof phaseEnds)[number];

export interface PhaseRun {
  readonly phase: PhaseName;
  /** Which run of this phase in this story, from 1. */
  readonly attempt: number;
  readonly startedAt: number;
  /** Of an interrupted run: time of the last record before the interruption. `null` while it is under way. */
  readonly endedAt: number | null;
  readonly ms: number | null;
  readonly end: PhaseEnd;
  /** Why it failed. */
  readonly reason: string | null;
}

export interface Undo {
  /** The phase from which on everything was undone, backwards. */
  readonly phase: PhaseName;
  readonly startedAt: number;
  readonly endedAt: number | null;
}

export interface Recovery {
  /** When a daemon took the story up again. */
  readonly at: number;
  /** Time of the last record of the daemon before it. */
  readonly lastSeenAt: number;
  /** *daemon*: only the daemon had ended; boards and rules lived on. *reboot*: the host was booted. */
  readonly after: "daemon" | "reboot";
  readonly action: RecoveryPlan["action"];
  readonly phase: PhaseName | null;
}

export interface Course {
  readonly phases: readonly PhaseRun[];
  readonly undo: Undo | null;
  readonly recoveries: readonly Recovery[];
}

/** @param records those of one story, in order. */
export function courseOf(records: readonly JournalRecord[]): Course {
  const phases: PhaseRun[] = [];
  const recoveries: Recovery[] = [];
  let undo: Undo | null = null;
  for (const [index, record] of records.entries()) {
    const before = records[index - 1] ?? record;
    follow(phases, record, before.at);
    if (record.event === "recovered") recoveries.push(recoveryOf(record, before));
    undo = undoAfter(undo, record);
  }
  return { phases, undo, recoveries };
}

function undoAfter(undo: Undo | null, { event, phase, at }: JournalRecord): Undo | null {
  // Undone by several daemons, it is one way back.
  if (event === "undo-began" && phase !== null) return undo ?? { phase, startedAt: at, endedAt: null };
  return event === "undo-done" && undo !== null ? { ...undo, endedAt: at } : undo;
}

/** @param lastAt time of the record before. */
function follow(phases: PhaseRun[], record: JournalRecord, lastAt: number): void {
  const { event, phase, at } = record;
  if (event === "phase-began" && phase !== null) {
    close(phases, lastAt, "interrupted");
    const attempt = phases.filter((run) => run.phase === phase).length + 1;
    phases.push({ phase, attempt, startedAt: at, endedAt: null, ms: null, end: "under-way", reason: null });
  } else if (event === "phase-done") close(phases, at, "done");
  else if (event === "phase-failed") close(phases, at, "failed", failureOf(record));
  // The runner's note of another attempt is how a failure is told that is not yet the story's.
  else if (event === "noted" && "attempt" in record.data) close(phases, at, "failed", failureOf(record));
  else if (event === "recovered") close(phases, lastAt, "interrupted");
  else if (event === "undo-done")
    for (const [index, run] of phases.entries())
      if (run.end === "done") phases[index] = { ...run, end: "undone" };
}

/** Ends the run that is under way, if one is. */
function close(phases: PhaseRun[], at: number, end: PhaseEnd, reason: string | null = null): void {
  const run = phases.at(-1);
  if (run?.end !== "under-way") return;
  // The wall clock may have been set back in between.
  const endedAt = Math.max(run.startedAt, at);
  phases[phases.length - 1] = { ...run, endedAt, ms: endedAt - run.startedAt, end, reason };
}

function failureOf({ data }: JournalRecord): string | null {
  const { error } = data as { readonly error?: StoryResult["error"] };
  const { attemptFailed } = data as Partial<NotedFacts>;
  return error?.message ?? attemptFailed ?? null;
}

function recoveryOf({ at, boot, data }: JournalRecord, before: JournalRecord): Recovery {
  const { plan } = data as { readonly plan?: RecoveryPlan };
  return {
    at,
    lastSeenAt: before.at,
    after: boot === before.boot ? "daemon" : "reboot",
    action: plan?.action ?? "nothing",
    phase: plan !== undefined && "phase" in plan ? plan.phase : null,
  };
}
