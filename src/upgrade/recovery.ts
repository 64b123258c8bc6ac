/**
 * Recovery: a pure function of what the journal says was meant and of what is. It has two words, *repeat* (go on) and *roll back*;
 * which of them a phase gets stands in the phase's own row in `story.ts`.
 */
import type { BoardCondition } from "../board/board.ts";
import type { StoryFacts } from "./facts.ts";
import type { PhaseName } from "./record.ts";
import type { Phase } from "./story.ts";

export interface World {
  /** The host was booted since the story's last record: boards and rules are gone. */
  readonly rebooted: boolean;
  /** The board that was to take over, as `inspect` finds it. */
  readonly newBoard: BoardCondition;
  /** `system.json` names the new board primary. */
  readonly committed: boolean;
  /** Its slot is marked bad: if it was installed before, the story was undone, and the records of that could not be written. */
  readonly slotIsBad: boolean;
}

export type RecoveryPlan =
  | { readonly action: "nothing" }
  /** Run the story from this phase on; `null`: from its first. After a reboot of the host, once the primary serves. */
  | { readonly action: "go-on"; readonly phase: PhaseName | null }
  /** Undo the story from this phase backwards. */
  | { readonly action: "roll-back"; readonly phase: PhaseName; readonly reason: "undo" | "reboot" | "died" };

/** @param rows the rows of the table that the story has. */
export function planRecovery(facts: StoryFacts, rows: readonly Phase[], world: World): RecoveryPlan {
  if (facts.result !== null) return { action: "nothing" };
  const current = rows.find((row) => row.name === facts.phase);
  if (current === undefined) return { action: "go-on", phase: null };
  // What was being undone is undone to its end, except past the commit point.
  if (facts.error !== null && !(current.name === "commit" && world.committed)) {
    return { action: "roll-back", phase: current.name, reason: "undo" };
  }
  // A phase that is done counts as the beginning of the next.
  const row = (facts.phaseDone ? rows[rows.indexOf(current) + 1] : current) ?? current;
  if (row.pointOfNoReturn === true) {
    if (world.committed) return { action: "go-on", phase: row.name };
    if (world.slotIsBad) return { action: "roll-back", phase: row.name, reason: "undo" };
  }
  if (world.rebooted) {
    return row.afterReboot === "roll-back"
      ? { action: "roll-back", phase: row.name, reason: "reboot" }
      : { action: "go-on", phase: row.name };
  }
  // One that is dormant has been put away: the story was undone, and its records could not be written. A standby is meant to be dormant.
  const { state } = world.newBoard;
  const alive = state === "running" || (facts.kind === "standby" && state === "dormant");
  return row.afterCrash === "repeat-while-alive" && !alive
    ? { action: "roll-back", phase: row.name, reason: "died" }
    : { action: "go-on", phase: row.name };
}
