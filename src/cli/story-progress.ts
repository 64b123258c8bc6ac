/** What has been seen of a story so far: the fold of its events, from which every view is drawn. */
import type { JournalRecord, Progress } from "../api/schemas.ts";
import { phaseNames } from "../upgrade/record.ts";
import type { Followed } from "./follow.ts";

type PhaseName = NonNullable<JournalRecord["phase"]>;

export interface PhaseProgress {
  readonly state: "awaited" | "under way" | "done" | "failed";
  /** Milliseconds since 1970, by the daemon's clock. */
  readonly beganAt?: number;
  readonly ms?: number;
}

export interface StoryProgress {
  readonly kind: JournalRecord["kind"];
  /** The version that is to serve; `null` until the bundle has been read. */
  readonly to: string | null;
  readonly beganAt: number | null;
  readonly phases: Readonly<Partial<Record<PhaseName, PhaseProgress>>>;
  /** The newest progress of the phase that is under way. */
  readonly progress: Progress | null;
  /** The service or the software goes back to what it was. */
  readonly undoing: boolean;
  /** The daemon does not answer at the moment. */
  readonly lost: boolean;
  readonly ended: boolean;
}

/** The phases that a story of this kind goes through, as far as they are known beforehand. */
export function plannedPhases(kind: JournalRecord["kind"]): readonly PhaseName[] {
  if (kind === "upgrade") return phaseNames;
  const later = phaseNames.slice(phaseNames.indexOf("boot"));
  return kind === "rollback" ? later : later.filter((phase) => phase !== "probation");
}

export function nothingSeen(kind: JournalRecord["kind"]): StoryProgress {
  const phases = Object.fromEntries(plannedPhases(kind).map((name) => [name, { state: "awaited" as const }]));
  return { kind, to: null, beganAt: null, phases, progress: null, undoing: false, lost: false, ended: false };
}

/** The version that the story is about, if the record tells it. */
function versionOf({ data }: JournalRecord): string | null {
  const version = data["toVersion"];
  return typeof version === "string" ? version : null;
}

/** Pure. */
export function seen(story: StoryProgress, event: Followed): StoryProgress {
  if ("lost" in event) return { ...story, lost: true };
  if ("found" in event) return { ...story, lost: false };
  if ("progress" in event) return { ...story, progress: event.progress };
  const { record } = event;
  const { phase, at } = record;
  const of = phase === null ? undefined : story.phases[phase];
  const change = (next: PhaseProgress): StoryProgress =>
    phase === null ? story : { ...story, phases: { ...story.phases, [phase]: next }, progress: null };
  const ms = Math.max(0, at - (of?.beganAt ?? at));
  switch (record.event) {
    case "story-began":
      return { ...story, beganAt: at, to: versionOf(record) };
    case "phase-began":
      return change({ state: "under way", beganAt: at });
    case "phase-done":
      return change({ ...of, state: "done", ms });
    case "phase-failed":
      return change({ ...of, state: "failed", ms });
    case "undo-began":
      return { ...story, undoing: true, progress: null };
    case "story-ended":
      return { ...story, ended: true, progress: null };
    case "noted":
      return { ...story, to: versionOf(record) ?? story.to };
    case "undo-done":
    case "recovered":
      return story;
    default:
      // A record of a later version says something that this one need not show.
      return story;
  }
}
