/** Leaves a report of each story that ends. Nothing waits for it: the story is over, and the next may begin. */

import type { Report } from "../upgrade/report.ts";
import type { StoryEvent } from "../upgrade/story-events.ts";
import { byId, type ReportFiles } from "./files.ts";

/** What it needs of a system. */
export interface ReportedSystem {
  report(id: string): Report | undefined;
  events(afterSeq: number, signal: AbortSignal): AsyncIterable<StoryEvent>;
}

/**
 * Writes the reports that are missing of stories that have ended, then one whenever a story ends, until the signal aborts and the one
 * under way is written. A disk that does not take one is told to `onTrouble`, and the next daemon tries it again.
 */
export async function leaveReports(
  system: ReportedSystem,
  files: ReportFiles,
  signal: AbortSignal,
  onTrouble: (error: unknown) => void,
): Promise<void> {
  const kept = await files.ids().catch((error: unknown) => {
    onTrouble(error);
    return [];
  });
  const left = new Set(kept);
  const [oldest] = kept;
  for await (const event of system.events(0, signal)) {
    if (!("record" in event) || event.record.event !== "story-ended") continue;
    const { story } = event.record;
    // What is older than all that is kept was removed for the bound. No story ends twice, so one that was left already need not be known any more.
    if (left.delete(story) || (oldest !== undefined && byId(story, oldest) < 0)) continue;
    const report = system.report(story);
    if (report !== undefined) await files.keep(report).catch(onTrouble);
  }
}
