/** What `status` tells, put together from what is: the kernel, the boards and the journal, not memory. */
import { type BoardCondition, type BoardName, otherBoard } from "../board/board.ts";
import type { ServiceCondition } from "../service/service.ts";
import type { StoryFacts } from "./facts.ts";
import { failoverStatus } from "./failover-status.ts";
import type { ProgressEvent } from "./record.ts";
import type { Parts } from "./scene.ts";
import type { StoryResult, StoryStatus, SystemStatus } from "./status.ts";
import { statusOfBoard } from "./status-of-board.ts";

export interface Telling {
  /** Facts of the story that is under way. */
  readonly facts: StoryFacts | null;
  readonly progress: ProgressEvent | null;
  readonly last: StoryResult | null;
  /** The story that left the system stuck. */
  readonly stuck: StoryResult | null;
  /** A defect of ours that ended a story without a result. */
  readonly defect: unknown;
}

/** What failover does no more: about a board in service that failed, and to make the other one ready. */
export interface GivenUp {
  readonly givenUp: SystemStatus["stuck"];
  readonly standbyGivenUp: string | null;
}

export async function statusOfSystem(
  parts: Parts,
  telling: Telling,
  { givenUp, standbyGivenUp }: GivenUp,
): Promise<SystemStatus> {
  const { service, boards, systemFile, settings, journal } = parts;
  const { state } = systemFile;
  const { facts: story, progress, last: lastStory } = telling;
  const condition = await service.inspect();
  const { holder, draining } = condition;
  const conditions = { a: await boards.a.inspect(), b: await boards.b.inspect() };
  const wires = { a: await service.wireObstacle("a"), b: await service.wireObstacle("b") };
  const of = (name: BoardName) =>
    statusOfBoard({
      board: boards[name],
      condition: conditions[name],
      service: condition,
      state,
      story,
      depth: settings.dormancy,
      records: journal.records,
    });
  return {
    system: settings.system,
    holder,
    draining,
    primary: state.primary,
    floor: state.floor,
    stuck:
      story === null
        ? (stuckOf(telling, givenUp, condition, conditions) ?? unlinked(holder, wires, settings.failover))
        : null,
    failover: failoverStatus({
      enabled: settings.failover,
      keepsWarm: settings.dormancy !== "off",
      givenUp: givenUp?.reason ?? null,
      standbyGivenUp,
      holder,
      otherWire: holder === null ? null : wires[otherBoard(holder)],
      conditions,
      state,
      story,
    }),
    // In the middle of a story things are on their way.
    troubles: story === null ? await service.troubles() : [],
    story: story === null ? null : storyStatus(story, progress),
    lastStory,
    boards: { a: await of("a"), b: await of("b") },
    seq: journal.records.at(-1)?.seq ?? 0,
  };
}

/** Why a person is needed while no story is under way. */
function stuckOf(
  { stuck, defect }: Telling,
  givenUp: SystemStatus["stuck"],
  { holder }: ServiceCondition,
  conditions: Readonly<Record<BoardName, BoardCondition>>,
): SystemStatus["stuck"] {
  if (givenUp?.code === "failover-given-up") return givenUp;
  const serving = holder === null ? null : conditions[holder];
  if (serving !== null && serving.state !== "running") {
    const why = serving.state === "off" ? "" : `: ${serving.reason ?? "it does no more work"}`;
    return { code: "board-died", reason: `board ${holder ?? ""}, in service, is ${serving.state}${why}` };
  }
  if (defect !== undefined) {
    return {
      code: "internal",
      reason: defect instanceof Error ? defect.message : "a story ended without a result",
    };
  }
  if (stuck === null) return givenUp;
  return { code: stuck.error?.code ?? "internal", reason: stuck.error?.message ?? "" };
}

/** What failover would do, or tell, if it were not switched off. */
function unlinked(
  holder: BoardName | null,
  wires: Readonly<Record<BoardName, string | null>>,
  failover: boolean,
): SystemStatus["stuck"] {
  const obstacle = holder === null ? null : wires[holder];
  if (failover || obstacle === null) return null;
  return { code: "holder-unlinked", reason: `board ${holder ?? ""}, in service: ${obstacle}` };
}

function storyStatus(story: StoryFacts, progress: ProgressEvent | null): StoryStatus {
  const { id, kind, phase, fromVersion, toVersion, startedAt } = story;
  return { id, kind, phase, from: fromVersion, to: toVersion, startedAt, progress };
}
