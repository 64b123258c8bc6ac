/** Whether the other board would take the service over now if the holder failed, and if not, why. Pure. */
import { type BoardCondition, type BoardName, otherBoard } from "../board/board.ts";
import type { StoryFacts } from "./facts.ts";
import type { PhaseName } from "./record.ts";
import type { FailoverStatus } from "./status.ts";
import type { SystemState } from "./system-file.ts";

/** In these an upgrade or a rollback takes the service back by itself, if there is a board to take it back to. */
const guarded: ReadonlySet<PhaseName | null> = new Set(["takeover", "probation", "commit"]);

function guards({ kind, from, phase }: StoryFacts): boolean {
  return (kind === "upgrade" || kind === "rollback") && from !== null && guarded.has(phase);
}

const not = (reason: string): FailoverStatus => ({ ready: false, reason });

export function failoverStatus(of: {
  readonly enabled: boolean;
  /** Whether the other board is kept dormant, and not off. */
  readonly keepsWarm: boolean;
  /** Why it was given up, or `null`. */
  readonly givenUp: string | null;
  /** The same of making the other board ready. */
  readonly standbyGivenUp: string | null;
  readonly holder: BoardName | null;
  /** Why the outside cannot be reached through the other board's own wire. */
  readonly otherWire: string | null;
  readonly conditions: Readonly<Record<BoardName, BoardCondition>>;
  readonly state: SystemState;
  readonly story: StoryFacts | null;
}): FailoverStatus {
  const { enabled, keepsWarm, givenUp, standbyGivenUp, holder, otherWire, conditions, state, story } = of;
  if (!enabled) return not("switched off in the configuration");
  if (givenUp !== null) return not(`given up: ${givenUp}`);
  if (holder === null) return not("no board is in service");
  const other = otherBoard(holder);
  if (otherWire !== null) return not(`board ${other} has no link: ${otherWire}`);
  if (story !== null && guards(story)) return { ready: true, reason: null };
  if (story?.kind === "upgrade" && story.to === other && story.phase !== "deliver" && story.phase !== null)
    return not(`suspended: board ${other} is being upgraded`);
  if (state.slots[other]?.mark !== "good")
    return not(`slot ${other} is ${state.slots[other]?.mark ?? "empty"}`);
  if (story === null && standbyGivenUp !== null) return not(`given up: ${standbyGivenUp}`);
  if (!keepsWarm && conditions[other].state === "off")
    return not("dormancy is off: a board that fails is booted again, and if that is in vain the other one");
  if (conditions[other].state !== "dormant") return not(`board ${other} is ${conditions[other].state}`);
  return { ready: true, reason: null };
}
