/**
 * The report that a story leaves: everything a person wants to know of it afterwards, from the journal's records alone. Pure, and good for
 * a story that is still under way. Its keys are stable: docs/report.md tells them.
 */
import { type BoardName, otherBoard } from "../board/board.ts";
import type { BoardKind } from "../board/kind.ts";
import type { DrainResult } from "../service/service.ts";
import { type CheckReport, checksOf } from "./check-reports.ts";
import { courseOf, type PhaseRun, type Recovery, type Undo } from "./course.ts";
import { type BoardLack, factsOf, type StoryFacts } from "./facts.ts";
import type { Failure } from "./failover-plan.ts";
import type { JournalRecord, Outcome, PhaseName, StoryKind } from "./record.ts";
import type { StoryResult } from "./status.ts";

export interface InstalledImage {
  /** Slot class: `kernel`, `initrd`, `rootfs`. */
  readonly class: string;
  /** Hex. */
  readonly sha256: string;
  /** `null`: not known to this story, which did not install it. */
  readonly sizeBytes: number | null;
}

export interface Report {
  /** Format version. */
  readonly v: 1;
  readonly system: string;
  readonly id: string;
  readonly kind: StoryKind;
  /** `null` while the story is under way. */
  readonly outcome: Outcome | null;
  /** Who served when the story began; `board` is `null` if nobody did. */
  readonly from: {
    readonly board: BoardName | null;
    readonly version: string | null;
    /** What the board was. */
    readonly kind: BoardKind | null;
  };
  /** The board that the story is about; its version, and what it becomes, are known once a bundle was accepted. */
  readonly to: {
    readonly board: BoardName;
    readonly version: string | null;
    readonly kind: BoardKind | null;
  };
  /** All times are milliseconds since 1970. */
  readonly startedAt: number;
  readonly endedAt: number | null;
  /** Time of the newest record. */
  readonly updatedAt: number;
  /** Each run of a phase, in order: one that was tried again, or gone on with by another daemon, occurs more than once. */
  readonly phases: readonly PhaseRun[];
  /** The way back, if it was taken. */
  readonly undo: Undo | null;
  readonly service: {
    /** When the service moved to `to`; `null` if it did not. */
    readonly movedAt: number | null;
    /** How long the takeover's transaction took, as the daemon saw it. */
    readonly takeoverMs: number | null;
    /** When it was back on `from`. */
    readonly cameBackAt: number | null;
  };
  /** Daemons that took the story up again. */
  readonly recoveries: readonly Recovery[];
  /** What became of the flows of `from` after the takeover, and of those of `to` after a take-back. */
  readonly drain: DrainResult | null;
  readonly backDrain: DrainResult | null;
  /** Probation that was served. */
  readonly probationMs: number;
  /** Health checks, by phase. */
  readonly checks: readonly CheckReport[];
  readonly error: StoryResult["error"];
  /** Why the story began by itself: what was wrong with the board in service, and the last lines of its console. */
  readonly failure: (Failure & { readonly console: readonly string[] }) | null;
  readonly installed: {
    readonly version: string;
    /** Hex SHA-256 of the bundle's signed manifest. */
    readonly digest: string;
    /** Distinguished name (RFC 4514); `null` if this story did not read the bundle. */
    readonly signer: string | null;
    readonly images: readonly InstalledImage[];
  } | null;
  /** What was asked of the host for these boards and was not so. */
  readonly lacks: readonly BoardLack[];
  /** What went otherwise than usual, as sentences. */
  readonly remarks: readonly string[];
}

/** One line of the list of stories. */
export interface StorySummary {
  readonly id: string;
  readonly kind: StoryKind;
  readonly outcome: Outcome | null;
  /** Versions. */
  readonly from: string | null;
  readonly to: string | null;
  readonly startedAt: number;
  readonly endedAt: number | null;
  /** The newest phase. */
  readonly phase: PhaseName | null;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly drain: { readonly finished: number; readonly closedEarly: number; readonly cut: number } | null;
}

/** @param records those of one story, in order, at least one: any beginning of them makes a report. */
export function reportOf(system: string, records: readonly JournalRecord[]): Report {
  const facts = factsOf(records);
  const { phases, undo, recoveries } = courseOf(records);
  const { id, kind, result, from, to, takeoverMs, takenBackAt } = facts;
  const moved =
    takeoverMs !== null ||
    takenBackAt !== null ||
    phases.some(({ phase, end }) => phase === "takeover" && (end === "done" || end === "undone"));
  return {
    v: 1,
    system,
    id,
    kind,
    outcome: result?.outcome ?? null,
    from: { board: from, version: facts.fromVersion, kind: facts.fromKind },
    to: { board: to, version: facts.toVersion, kind: facts.content?.kind ?? facts.toKind },
    startedAt: facts.startedAt,
    endedAt: result?.endedAt ?? null,
    updatedAt: records.at(-1)?.at ?? facts.startedAt,
    phases,
    undo,
    // `takeoverAt` is noted before the transaction, which may have been refused.
    service: { movedAt: moved ? facts.takeoverAt : null, takeoverMs, cameBackAt: takenBackAt },
    recoveries,
    drain: facts.drain,
    backDrain: facts.backDrain,
    probationMs: facts.servedMs,
    checks: checksOf(records, to),
    error: result?.error ?? facts.error ?? null,
    failure: failureOf(facts),
    installed: installedOf(facts),
    lacks: facts.lacks,
    remarks: remarksOf(facts),
  };
}

function installedOf({ content, bundle }: StoryFacts): Report["installed"] {
  if (content === null) return null;
  const sizes = new Map(bundle?.images?.map((image) => [image.class, image.sizeBytes]));
  const images = Object.entries(content.sha256).map(([label, sha256]) => ({
    class: label,
    sha256,
    sizeBytes: sizes.get(label) ?? null,
  }));
  const { version, digest } = content;
  return { version, digest, signer: bundle?.signer ?? null, images };
}

function failureOf({ failure, failedConsole }: StoryFacts): Report["failure"] {
  return failure === null ? null : { ...failure, console: failedConsole };
}

function remarksOf(facts: StoryFacts): string[] {
  const { from, to, servesUnhealthy, activateFailed, raisedToPercent, memoryKills, woken } = facts;
  const remarks: string[] = [];
  if (woken) remarks.push(`Board ${to} was dormant and was woken; it was not booted.`);
  if (servesUnhealthy !== null)
    remarks.push(`Board ${to} serves although it is not healthy: ${servesUnhealthy}.`);
  if (raisedToPercent !== null)
    remarks.push(
      `Board ${to} was raised to ${raisedToPercent} % of a full share of the processor while it booted: board ${from ?? otherBoard(to)} left it next to nothing.`,
    );
  if (memoryKills !== null)
    remarks.push(
      `The kernel killed ${memoryKills === 1 ? "a process" : `${memoryKills} processes`} of board ${to}, which wanted more memory than it may have (boards.memory).`,
    );
  if (activateFailed !== null)
    remarks.push(
      `The hook activate of board ${from ?? otherBoard(to)} failed after it had taken the service back: ${activateFailed}.`,
    );
  return remarks;
}

/** The reports of all stories of a journal, newest first. */
export function reportsOf(system: string, records: readonly JournalRecord[]): Report[] {
  const stories = Map.groupBy(records, ({ story }) => story);
  return [...stories.values()].map((ofStory) => reportOf(system, ofStory)).toReversed();
}

export function summaryOf(report: Report): StorySummary {
  const { id, kind, outcome, from, to, startedAt, endedAt, phases, error, drain } = report;
  return {
    id,
    kind,
    outcome,
    from: from.version,
    to: to.version,
    startedAt,
    endedAt,
    phase: phases.at(-1)?.phase ?? null,
    error: error === null ? null : { code: error.code, message: error.message },
    drain:
      drain === null ? null : { finished: drain.finished, closedEarly: drain.closedEarly, cut: drain.cut },
  };
}
