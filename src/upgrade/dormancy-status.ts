/** How the board that does not hold sleeps, and how long the way back takes. Pure: out of what is and what the journal has, nothing guessed. */
import type { BoardCondition, BoardName } from "../board/board.ts";
import type { DormancyDepth } from "../board/depth.ts";
import type { BoardKind } from "../board/kind.ts";
import { factsOf, type StoryFacts } from "./facts.ts";
import type { JournalRecord } from "./record.ts";
import type { DormancyStatus } from "./status.ts";
import type { SystemState } from "./system-file.ts";

export interface Sleeper {
  readonly board: BoardName;
  readonly kind: BoardKind;
  readonly condition: BoardCondition;
  readonly holder: BoardName | null;
  readonly state: SystemState;
  readonly story: StoryFacts | null;
  /** As the configuration has it. */
  readonly depth: DormancyDepth;
  readonly records: readonly JournalRecord[];
}

/** `null`: it is neither dormant nor kept off. */
export function dormancyStatus(of: Sleeper): DormancyStatus | null {
  const { board, kind, condition, holder, state, story, depth, records } = of;
  const laid = state.dormant?.board === board ? state.dormant : null;
  if (condition.state === "dormant") {
    const asleep = laid?.instance === condition.instance ? laid : null;
    return {
      depth: asleep?.depth ?? null,
      since: asleep?.since ?? null,
      wayBackMs: newest(records, (facts) => wakeMs(facts, kind)),
    };
  }
  const isKeptOff =
    depth === "off" &&
    condition.state === "off" &&
    holder !== null &&
    holder !== board &&
    story?.to !== board &&
    state.slots[board]?.mark === "good";
  if (!isKeptOff) return null;
  const stopped = laid?.depth === "off" ? laid.since : null;
  const wasBegun = records.some(
    ({ event, at, data }) =>
      event === "story-began" && stopped !== null && at >= stopped && data["to"] === board,
  );
  const version = state.slots[board]?.content?.version;
  return {
    depth: "off",
    since: wasBegun ? null : stopped,
    wayBackMs: newest(records, (facts) =>
      facts.to === board && facts.toVersion === version ? bootMs(facts) : undefined,
    ),
  };
}

/** Of a story that woke a board of this kind: what its phase took. */
function wakeMs({ woken, toKind, phases }: StoryFacts, kind: BoardKind): number | undefined {
  return woken && (toKind ?? kind) === kind && "verify" in phases ? phases.boot : undefined;
}

/** Of a story that booted a board and found it fit: from the order until it was verified. */
function bootMs({ woken, phases, error }: StoryFacts): number | undefined {
  const { boot, verify } = phases;
  if (woken || boot === undefined || verify === undefined) return undefined;
  return error?.phase === "boot" || error?.phase === "verify" ? undefined : boot + verify;
}

/** What the newest story has that has it. Records of one story follow each other. */
function newest(
  records: readonly JournalRecord[],
  look: (facts: StoryFacts) => number | undefined,
): number | null {
  for (let end = records.length; end > 0; ) {
    const id = records[end - 1]?.story;
    let begin = end;
    while (begin > 0 && records[begin - 1]?.story === id) begin -= 1;
    const found = look(factsOf(records.slice(begin, end)));
    if (found !== undefined) return found;
    end = begin;
  }
  return null;
}
