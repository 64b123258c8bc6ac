/** What a system began by itself, and what came of it: by this it is bounded. */
import type { BoardName } from "../board/board.ts";
import type { NotedFacts } from "./facts.ts";
import type { JournalRecord } from "./record.ts";
import type { StoryResult } from "./status.ts";

export interface Attempt {
  readonly story: string;
  readonly action: "failover" | "restart" | "standby";
  readonly to: BoardName;
  /** ms since 1970. */
  readonly at: number;
  /** The host's boot in which it began. */
  readonly boot: string;
  /** It did not come to what it was begun for; `undefined` while it runs. */
  readonly inVain: boolean | undefined;
}

/** Whether a standby gave way to a story that was asked for, or to a failover: that tells nothing of its board. */
export function gaveWay({ kind, error }: StoryResult): boolean {
  return kind === "standby" && (error?.code === "cancelled" || error?.code === "holder-failed");
}

/** Attempts after the last story that somebody asked for and that was committed: from there it is counted anew. Pure. */
export function attemptsIn(records: readonly JournalRecord[]): Attempt[] {
  const asked = records.findLastIndex(({ kind, data }) => {
    const result = data["result"] as StoryResult | undefined;
    return (kind === "upgrade" || kind === "rollback") && result?.outcome === "committed";
  });
  const since = records.slice(asked + 1);
  const results = new Map(
    since.flatMap(({ data }) => {
      const result = data["result"] as StoryResult | undefined;
      return result === undefined ? [] : [[result.id, result] as const];
    }),
  );
  return since.flatMap(({ event, kind, at, boot, story, data }) => {
    const { to, failure } = data as Partial<NotedFacts>;
    if (event !== "story-began" || to === undefined) return [];
    // A primary that comes back after a reboot of the host did not fail.
    if (kind !== "failover" && kind !== "standby" && (kind !== "restart" || !failure)) return [];
    const result = results.get(story);
    if (result !== undefined && gaveWay(result)) return [];
    return [{ story, action: kind, to, at, boot, inVain: result && result.outcome !== "committed" }];
  });
}

/** What was done since an attempt last came to what it was begun for. */
export function inVainOf(attempts: readonly Attempt[]): readonly Attempt[] {
  return attempts.slice(attempts.findLastIndex(({ inVain }) => inVain !== true) + 1);
}

/** How often since then the service was moved, or its board started again. */
export function movesSince(attempts: readonly Attempt[], sinceMs: number): number {
  return attempts.filter(({ action, at }) => action !== "standby" && at >= sinceMs).length;
}

/** How often in a row a standby was booted in vain in this boot of the host, or, if that is more, at all since then. */
export function standbysSince(attempts: readonly Attempt[], sinceMs: number, boot: string): number {
  const standbys = attempts.filter(({ action }) => action === "standby");
  const fine = standbys.findLastIndex((standby) => standby.inVain === false || standby.boot !== boot);
  return Math.max(standbys.length - 1 - fine, standbys.filter(({ at }) => at >= sinceMs).length);
}
