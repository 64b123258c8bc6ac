/** Whether software is for a board, by its kind. */
import { TwinboardError } from "../errors.ts";
import type { Board, BoardStart } from "./board.ts";
import { kindWords } from "./kind.ts";

/** Errors: `board-start-failed`, where the slot was written for a board of a kind that this one is not. */
export function requireKind({ kind }: Pick<BoardStart, "kind">, board: Pick<Board, "name" | "kind">): void {
  if (kind === undefined || kind === board.kind) return;
  throw new TwinboardError("board-start-failed", {
    detail: `slot ${board.name} holds software for ${kindWords[kind]}, and boards.kind lets board ${board.name} be ${kindWords[board.kind]} alone`,
  });
}
