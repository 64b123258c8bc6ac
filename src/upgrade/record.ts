/** One line of the journal: what was intended, and what came of it. The same records are the live event stream. */
import type { DrainProgress } from "../service/service.ts";

export const phaseNames = [
  "deliver",
  "vacate",
  "install",
  "boot",
  "verify",
  "takeover",
  "probation",
  "commit",
] as const;
export type PhaseName = (typeof phaseNames)[number];

/**
 * *upgrade*: new software (a first installation is an upgrade with nobody to relieve). *rollback*: asked for.
 * *restart*: the primary boots and serves again after a reboot of the host. *failover*: the dormant board takes over because the one in
 * service died, hangs, stays unhealthy or lost its link. *standby*: the other board is booted, verified and laid to sleep, so that there is
 * a warm way back.
 */
export const storyKinds = ["upgrade", "rollback", "restart", "failover", "standby"] as const;
export type StoryKind = (typeof storyKinds)[number];

/** Stories that bring the service back: they go on without the disk, and nobody cancels them. */
export function bringsBack(kind: StoryKind): boolean {
  return kind === "restart" || kind === "failover";
}

/**
 * *committed*: done. *rolled-back*: the service had moved and was taken back. *failed*: undone before the service moved.
 * *rejected*: refused, nothing changed. *stuck*: needs a person.
 */
export const outcomes = ["committed", "rolled-back", "failed", "rejected", "stuck"] as const;
export type Outcome = (typeof outcomes)[number];

export const recordEvents = [
  "story-began",
  "phase-began",
  /** Inside a phase: something was made true that recovery must know (an instance, a digest, the takeover's time). */
  "noted",
  "phase-done",
  "phase-failed",
  "undo-began",
  "undo-done",
  "recovered",
  "story-ended",
] as const;
export type RecordEvent = (typeof recordEvents)[number];

export interface JournalRecord {
  /** Format version. */
  readonly v: 1;
  /** One higher than the record before it, over all stories of the system. */
  readonly seq: number;
  /** The host's boot id (random(4)). */
  readonly boot: string;
  /** Id of the story; one file each. */
  readonly story: string;
  readonly kind: StoryKind;
  readonly phase: PhaseName | null;
  readonly event: RecordEvent;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly data: Readonly<Record<string, unknown>>;
}

/** What is streamed besides records: how far a phase is. Not kept, not numbered. */
export interface ProgressEvent {
  readonly story: string;
  readonly phase: PhaseName;
  /** What is awaited, for people: "READY of board b". */
  readonly awaiting?: string;
  readonly bytes?: number;
  readonly totalBytes?: number;
  readonly drain?: DrainProgress;
}
