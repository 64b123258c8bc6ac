/** What a story notes of how the host held its boards. */
import { isDeepStrictEqual } from "node:util";
import { boardNames } from "../board/board.ts";
import type { BoardLack } from "./facts.ts";
import type { Scene } from "./scene.ts";

/** A board in the background that has less was not raised. */
const leastRaisedPercent = 10;

/** What a board took of the board in service to come to an end of its boot, whether it did or not. Repeatable. Only the report needs it, and nothing stops for it. */
export async function noteShare(scene: Scene): Promise<void> {
  const { parts, facts } = scene;
  if (facts.from === null || facts.woken) return;
  try {
    const { sharePercent } = await parts.boards[facts.to].confinement();
    if (sharePercent === null || sharePercent < leastRaisedPercent) return;
    if (sharePercent !== facts.raisedToPercent) await scene.noteForReport({ raisedToPercent: sharePercent });
  } catch (error) {
    parts.onTrouble(error);
  }
}

/** What the story's board lacks, and the one in service. Repeatable: what was noted last counts. Only the report needs it, and nothing stops for it. */
export async function noteLacks(scene: Scene): Promise<void> {
  const { parts, facts } = scene;
  const lacks: BoardLack[] = [];
  try {
    for (const board of boardNames)
      if (board === facts.to || board === facts.from)
        for (const what of (await parts.boards[board].confinement()).lacks) lacks.push({ board, what });
  } catch (error) {
    return parts.onTrouble(error);
  }
  if (!isDeepStrictEqual(lacks, facts.lacks)) await scene.noteForReport({ lacks });
}
