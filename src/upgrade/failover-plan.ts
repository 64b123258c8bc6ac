/** What to do when the board in service fails, or the other one is not there to take over. Pure: out of what is, the same plan each time. */
import { type BoardCondition, type BoardName, otherBoard } from "../board/board.ts";
import type { SystemState } from "./system-file.ts";

export const failureCauses = ["died", "hung", "unhealthy", "unlinked"] as const;
export type FailureCause = (typeof failureCauses)[number];

/** Why a board in service should serve no more. */
export interface Failure {
  readonly board: BoardName;
  readonly cause: FailureCause;
  readonly detail: string;
  /** When it was noticed, ms since 1970. */
  readonly at: number;
}

export interface Situation {
  readonly holder: BoardName | null;
  readonly conditions: Readonly<Record<BoardName, BoardCondition>>;
  readonly state: SystemState;
  /** Whether the board that does not hold waits dormant; otherwise it is off, and comes by a boot. */
  readonly keepsWarm: boolean;
  /** Of the holder. */
  readonly failure: Failure | null;
  /** Why the outside cannot be reached through a board's own wire (`Service.wireObstacle`). */
  readonly wires: Readonly<Record<BoardName, string | null>>;
  /** What was done since something last came to what it was begun for. */
  readonly inVain: readonly {
    readonly action: "failover" | "restart" | "standby";
    readonly to: BoardName;
    readonly at: number;
  }[];
  /** From when on things count as lately, ms since 1970. */
  readonly sinceMs: number;
  /** How often the service was moved or its board restarted by itself lately, and a standby booted. */
  readonly recentMoves: number;
  readonly recentStandbys: number;
}

export type FailoverPlan =
  | { readonly action: "nothing" }
  /** The dormant board takes over; one that is kept off boots for it, while the holder serves as well as it can. */
  | { readonly action: "failover"; readonly to: BoardName; readonly failure: Failure }
  /** No board is warm: this one boots, and serves. */
  | { readonly action: "restart"; readonly to: BoardName; readonly failure: Failure }
  /** The other board boots, is verified, and waits dormant. */
  | { readonly action: "standby"; readonly to: BoardName }
  /** A person is needed. */
  | {
      readonly action: "give-up";
      readonly failure: Failure;
      readonly code: "failover-given-up" | "holder-unhealthy" | "holder-unlinked";
      readonly reason: string;
    };

/** So often in `failoverWindowMs` the service moves by itself, and so often a standby is booted; what fails more often needs a person. */
export const maxMoves = 3;
export const maxStandbys = 3;
export const failoverWindowMs = 600_000;

export function planFailover(situation: Situation): FailoverPlan {
  const {
    holder,
    conditions,
    state,
    keepsWarm,
    failure,
    wires,
    inVain,
    sinceMs,
    recentMoves,
    recentStandbys,
  } = situation;
  if (holder === null) return { action: "nothing" };
  const other = otherBoard(holder);
  const otherIsGood = state.slots[other]?.mark === "good";
  const otherIsDown = conditions[other].state === "off" || conditions[other].state === "dead";
  const standby = keepsWarm && otherIsGood && otherIsDown && recentStandbys < maxStandbys;
  if (failure === null) return standby ? { action: "standby", to: other } : { action: "nothing" };
  if (recentMoves >= maxMoves) {
    const reason = `the service was moved or its board restarted ${recentMoves} times within ${failoverWindowMs / 60_000} min`;
    return { action: "give-up", failure, code: "failover-given-up", reason };
  }
  // Nobody knows whether what was in vain long ago would be so today: while nobody serves it is tried.
  const tried = inVain.filter(({ at }) => failure.cause === "unhealthy" || at >= sinceMs);
  const refused = tried.some(({ action, to }) => action === "failover" && to === other);
  // From a board that fails, but has a link, the service does not move to one that has none.
  const linked = wires[other] === null || (wires[holder] !== null && failure.cause !== "unlinked");
  if (otherIsGood && !refused && linked && conditions[other].state === "dormant")
    return { action: "failover", to: other, failure };
  // It serves as well as it can, until another is warm: a restart would take even that away, and mends no wire.
  if (failure.cause === "unhealthy" || failure.cause === "unlinked") {
    if (standby) return { action: "standby", to: other };
    if (!keepsWarm && otherIsGood && otherIsDown && !refused && linked)
      return { action: "failover", to: other, failure };
    const code = failure.cause === "unlinked" ? "holder-unlinked" : "holder-unhealthy";
    return {
      action: "give-up",
      failure,
      code,
      reason: whyNot(other, otherIsGood, linked ? null : wires[other]),
    };
  }
  // Boards that take long to fail never reach the bound above; between their tries a person is told, and asked for.
  const restarts = inVain.filter(({ action }) => action === "restart");
  if (restarts.length >= maxMoves && restarts.some(({ at }) => at >= sinceMs)) {
    const reason = `boards were started ${restarts.length} times in a row in vain`;
    return { action: "give-up", failure, code: "failover-given-up", reason };
  }
  // What holds may have failed its probation, with nobody left to take the service back: what is good comes before it.
  const first = otherIsGood && state.slots[holder]?.mark !== "good" ? other : holder;
  const again = tried.some(({ action, to }) => action === "restart" && to === first);
  return { action: "restart", to: again && otherIsGood ? otherBoard(first) : first, failure };
}

function whyNot(other: BoardName, isGood: boolean, obstacle: string | null): string {
  if (!isGood) return `slot ${other} has nothing good to boot`;
  return obstacle === null ? `board ${other} is no better` : `board ${other} has no link either: ${obstacle}`;
}

/**
 * What is wrong with the holder, if several things are. A wire that is cut counts where the other board's is not: then that board reaches
 * the outside, whatever else there is.
 */
export function gravest(
  failure: Failure | null,
  unlinked: Failure | null,
  otherIsLinked: boolean,
): Failure | null {
  if (unlinked === null) return failure;
  if (failure === null) return unlinked;
  return failure.cause === "unhealthy" && otherIsLinked ? unlinked : failure;
}

/** Why the other board, down as it is, is no longer booted to wait as a standby; `null` if it is not so. */
export function standbyGivenUp(situation: Situation): string | null {
  const { holder, conditions, state, keepsWarm, recentStandbys } = situation;
  if (!keepsWarm || holder === null || recentStandbys < maxStandbys) return null;
  const other = otherBoard(holder);
  const down = conditions[other].state === "off" || conditions[other].state === "dead";
  if (!down || state.slots[other]?.mark !== "good") return null;
  return `board ${other} was booted ${recentStandbys} times as a standby, in vain or within ${failoverWindowMs / 60_000} min; see its console (twinboard logs ${other}), then upgrade`;
}
