/** What a story knows of itself: the fold of its records, so that a restarted daemon knows exactly what the one before it knew. */
import type { BoardName } from "../board/board.ts";
import type { BoardKind } from "../board/kind.ts";
import type { AnswerSeries } from "../health/answer-times.ts";
import type { DrainResult } from "../service/service.ts";
import type { SlotContent } from "../slot/slot.ts";
import type { Failure } from "./failover-plan.ts";
import type { JournalRecord, PhaseName, StoryKind } from "./record.ts";
import type { StoryResult } from "./status.ts";

export interface BoardLack {
  readonly board: BoardName;
  /** A sentence without its full stop (`BoardConfinement.lacks`). */
  readonly what: string;
}

/** Facts that are noted in `data` of the story's records; a later record overrides an earlier one. */
export interface NotedFacts {
  /** The holder when the story began; `null` if nobody served. */
  readonly from: BoardName | null;
  /** The board that is to take the service over. */
  readonly to: BoardName;
  readonly fromVersion: string | null;
  /** Known from the deliver phase on. */
  readonly toVersion: string | null;
  /** What the boards are: as the story began, and as the software makes of `to`. */
  readonly fromKind: BoardKind | null;
  readonly toKind: BoardKind | null;
  /** Where the bundle comes from: a path can be delivered again after a crash, a stream cannot. */
  readonly sourcePath: string | null;
  readonly force: boolean;
  readonly bundle: {
    readonly path: string;
    readonly digest: string;
    /** Distinguished name, and what is in it: for the report. */
    readonly signer?: string;
    readonly images?: readonly { readonly class: string; readonly sizeBytes: number }[];
  } | null;
  readonly content: SlotContent | null;
  /** The run of the board `to` that this story began or woke, and whether it was woken from dormancy. */
  readonly instance: string | null;
  readonly woken: boolean;
  /** Which try of booting it this is, from 1. */
  readonly attempt: number;
  /** Why the try before this one failed. */
  readonly attemptFailed: string | null;
  /** When the service moved to `to`, and when it was taken back; ms since 1970. */
  readonly takeoverAt: number | null;
  readonly takenBackAt: number | null;
  /** How long the takeover's transaction took, as the daemon saw it. */
  readonly takeoverMs: number | null;
  /** Probation that was served under a daemon's eyes, in ms. */
  readonly servedMs: number;
  readonly drain: DrainResult | null;
  /** What became of the new board's flows when the service was taken back. */
  readonly backDrain: DrainResult | null;
  /** Answers to the health checks in the phase that noted it, at its end. */
  readonly checks: readonly AnswerSeries[] | null;
  /** Why the story began by itself: what was wrong with the board in service. */
  readonly failure: Failure | null;
  /** The last console lines of that board. */
  readonly failedConsole: readonly string[];
  /** Why the old board's `activate` hook failed when it had taken the service back. */
  readonly activateFailed: string | null;
  /** Why the board that came back after a reboot is not healthy, although it serves. */
  readonly servesUnhealthy: string | null;
  /** What was asked of the host for these boards and was not so, when the story's board had been verified; after a failover, when that had proved itself. */
  readonly lacks: readonly BoardLack[];
  /** Percent of a full share of the processor that a board in the background was raised to while it booted, because it got next to nothing. */
  readonly raisedToPercent: number | null;
  /** How many processes of `to` the kernel killed for want of memory, once there was one. */
  readonly memoryKills: number | null;
}

export interface StoryFacts extends NotedFacts {
  readonly id: string;
  readonly kind: StoryKind;
  readonly startedAt: number;
  /** The phase that was begun last, and whether it was done. */
  readonly phase: PhaseName | null;
  readonly phaseDone: boolean;
  /** Milliseconds in each phase, as far as it went. */
  readonly phases: Partial<Record<PhaseName, number>>;
  /** The error of the phase that failed; from then on the story is being undone. */
  readonly error: StoryResult["error"];
  /** The host's boot in which the last record was written. */
  readonly boot: string;
  readonly result: StoryResult | null;
}

export const unknownFacts: NotedFacts = {
  from: null,
  to: "a",
  fromVersion: null,
  toVersion: null,
  fromKind: null,
  toKind: null,
  sourcePath: null,
  force: false,
  bundle: null,
  content: null,
  instance: null,
  woken: false,
  attempt: 1,
  attemptFailed: null,
  takeoverAt: null,
  takenBackAt: null,
  takeoverMs: null,
  servedMs: 0,
  drain: null,
  backDrain: null,
  checks: null,
  failure: null,
  failedConsole: [],
  activateFailed: null,
  servesUnhealthy: null,
  lacks: [],
  raisedToPercent: null,
  memoryKills: null,
};

/** @param records those of one story, in order, at least one. */
export function factsOf(records: readonly JournalRecord[]): StoryFacts {
  const [first, ...rest] = records;
  if (first === undefined) throw new RangeError("a story has at least one record");
  let facts: StoryFacts = {
    ...unknownFacts,
    ...(first.data as Partial<NotedFacts>),
    id: first.story,
    kind: first.kind,
    startedAt: first.at,
    phase: null,
    phaseDone: false,
    phases: {},
    error: null,
    boot: first.boot,
    result: null,
  };
  let beganAt = first.at;
  for (const record of rest) {
    if (record.event === "phase-began") beganAt = record.at;
    facts = next(facts, record, beganAt);
  }
  return facts;
}

function next(facts: StoryFacts, record: JournalRecord, beganAt: number): StoryFacts {
  const { phase, event, data } = record;
  const known = { ...facts, boot: record.boot };
  const spent = (): Partial<Record<PhaseName, number>> =>
    phase === null ? known.phases : { ...known.phases, [phase]: Math.max(0, record.at - beganAt) };
  switch (event) {
    case "phase-began":
      return { ...known, phase, phaseDone: false };
    case "noted":
      return { ...known, ...(data as Partial<NotedFacts>) };
    case "phase-done":
      return { ...known, phaseDone: true, phases: spent() };
    case "phase-failed":
      return { ...known, phases: spent(), error: data["error"] as StoryResult["error"] };
    case "story-ended":
      return { ...known, result: data["result"] as StoryResult };
    case "story-began":
    case "undo-began":
    case "undo-done":
    case "recovered":
      return known;
    default:
      // Records of the journal have been checked when they were read.
      throw new RangeError(`unknown event ${String(event satisfies never)}`);
  }
}
