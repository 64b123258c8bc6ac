/** Whether the other board would take the service over now if the holder failed, and if not, why. Pure. */
import { type BoardCondition, type BoardName, otherBoard } from "../board/board.ts";
import type { StoryFacts } from "./facts.ts";
import type { PhaseName } from "./record.ts";
import type { FailoverStatus } from "./status.ts";
import type { SystemState } from "./system-file.ts";

/** In these the story itself takes the service back. */
const guarded: ReadonlySet<PhaseName | null> = new Set(["takeover", "probation", "commit"]);

const not = (reason: string): FailoverStatus => ({ ready: false, reason });

export function failoverStatus(of: {
  readonly enabled: boolean;
  /** Why it was given up, or `null`. */
  readonly givenUp: string | null;
  readonly holder: BoardName | null;
  readonly conditions: Readonly<Record<BoardName, BoardCondition>>;
  readonly state: SystemState;
  readonly story: StoryFacts | null;
}): FailoverStatus {
  const { enabled, givenUp, holder, conditions, state, story } = of;
  if (!enabled) return not("switched off in the configuration");
  if (givenUp !== null) return not(`given up: ${givenUp}`);
  if (holder === null) return not("no board is in service");
  const other = otherBoard(holder);
  if (story !== null && guarded.has(story.phase)) return { ready: true, reason: null };
  if (story?.kind === "upgrade" && story.phase !== "deliver" && story.phase !== null)
    return not(`suspended: board ${other} is being upgraded`);
  if (state.slots[other]?.mark !== "good")
    return not(`slot ${other} is ${state.slots[other]?.mark ?? "empty"}`);
  if (conditions[other].state !== "dormant") return not(`board ${other} is ${conditions[other].state}`);
  return { ready: true, reason: null };
}
