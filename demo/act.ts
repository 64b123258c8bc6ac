/** One act of the demo: a story under load, and what the clients saw from its beginning until a little after its end. */
import type { JournalRecord } from "../src/upgrade/record.ts";
import type { StoryResult } from "../src/upgrade/status.ts";
import { drainMs, type Lab } from "./lab.ts";
import type { Load } from "./load/load.ts";
import { isKeptAlive } from "./load/plans.ts";
import { now, type RequestRecord } from "./load/request.ts";
import { cutWindow, type Span, type Window } from "./load/window.ts";

const afterwardsMs = 2000;

/** Where acts are played. */
export interface Stage {
  readonly lab: Lab;
  readonly load: Load;
  readonly signal: AbortSignal;
}

/** What the clients of one span saw. */
export interface Seen {
  readonly all: Window;
  readonly keptAlive: Window;
  readonly troubles: readonly RequestRecord[];
}

export interface Act {
  readonly span: Span;
  readonly result: StoryResult;
  /** The story's, from the journal. */
  readonly records: readonly JournalRecord[];
  readonly seen: Seen;
}

/** Lets a story run to its end, whatever that is. @param tell sees each record as it comes. */
export async function act(
  { load, signal }: Pick<Stage, "load" | "signal">,
  story: (onRecord: (record: JournalRecord) => void) => Promise<StoryResult>,
  tell: (record: JournalRecord) => void,
): Promise<Act> {
  const records: JournalRecord[] = [];
  const from = now();
  const result = await story((record) => {
    records.push(record);
    tell(record);
  });
  const to = now() + afterwardsMs;
  await load.settled(to, signal);
  const movedAt = lastMoveOf(records);
  const span = { from, to, ...(movedAt === null ? {} : { drainDeadline: movedAt + drainMs }) };
  return { span, result, records, seen: seen(load.records, span) };
}

/** When new connections last began to reach another board: of a take-back that is the later one of two times. */
export function lastMoveOf(records: readonly JournalRecord[]): number | null {
  const times = records.map(({ data }) => data["takenBackAt"] ?? data["takeoverAt"]);
  return times.findLast((at) => typeof at === "number") ?? null;
}

/** What the clients saw in a span that has settled. */
export function seen(records: readonly RequestRecord[], span: Span): Seen {
  return {
    all: cutWindow(records, span),
    keptAlive: cutWindow(records.filter(isKeptAlive), span),
    troubles: records.filter(
      ({ outcome, scheduledAt }) => outcome !== "ok" && scheduledAt >= span.from && scheduledAt < span.to,
    ),
  };
}
