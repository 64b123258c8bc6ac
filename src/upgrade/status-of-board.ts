/** What one board does, in docs/story.md's words, from what the kernel and the board say. */
import type { Board, BoardCondition } from "../board/board.ts";
import type { DormancyDepth } from "../board/depth.ts";
import type { ServiceCondition } from "../service/service.ts";
import { dormancyStatus } from "./dormancy-status.ts";
import type { StoryFacts } from "./facts.ts";
import type { JournalRecord } from "./record.ts";
import type { BoardRole, BoardStatus } from "./status.ts";
import type { SystemState } from "./system-file.ts";

export async function statusOfBoard(of: {
  readonly board: Board;
  readonly condition: BoardCondition;
  readonly service: ServiceCondition;
  readonly state: SystemState;
  readonly story: StoryFacts | null;
  /** As the configuration has it. */
  readonly depth: DormancyDepth;
  readonly records: readonly JournalRecord[];
}): Promise<BoardStatus> {
  const { board, condition, service, state, story, depth, records } = of;
  const { holder } = service;
  const usage = (await board.usage()) ?? null;
  const held = await board.confinement();
  const slot = state.slots[board.name];
  const asleep =
    condition.state === "dormant" && state.dormant?.instance === condition.instance ? state.dormant : null;
  const kind = (condition.state === "off" ? slot?.content?.kind : undefined) ?? board.kind;
  return {
    role: roleOf(board, condition, service, story),
    kind,
    slot: slot?.mark ?? null,
    version: slot?.content?.version ?? null,
    pid: condition.state === "off" ? null : condition.pid,
    usage,
    dormantSince: asleep?.since ?? null,
    // A thread that was idle for long may have ended, and its time is gone with it.
    dormantCpuNs: asleep === null || usage === null ? null : Math.max(0, usage.cpuNs - asleep.cpuNs),
    dormancy: dormancyStatus({ board: board.name, kind, condition, holder, state, story, depth, records }),
    // What one that does not run would have it has not.
    confinement: condition.state === "running" ? held : { ...held, sharePercent: null },
  };
}

function roleOf(
  board: Board,
  condition: BoardCondition,
  service: ServiceCondition,
  story: StoryFacts | null,
): BoardRole {
  if (condition.state !== "running") return condition.state;
  if (service.holder === board.name) return "in service";
  if (service.draining === board.name) return "draining";
  const booting = story?.to === board.name && (story.phase === "boot" || story.phase === "verify");
  return booting && !(story.phase === "verify" && story.phaseDone) ? "booting" : "standby";
}
