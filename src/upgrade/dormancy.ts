/**
 * Dormancy: a board that is fenced is paused, and what processor time it had used by then is kept, to show that it uses none. Where the
 * configuration wants it *off* it is stopped instead.
 */
import type { Board } from "../board/board.ts";
import { TwinboardError } from "../errors.ts";
import type { Parts } from "./scene.ts";

/** Repeatable. A board that dies instead is left as it is. Errors: those of `Board.pause`, or of `Board.stop`. */
export async function layToSleep(parts: Parts, board: Board, signal: AbortSignal): Promise<void> {
  const { systemFile, clock, settings, onTrouble } = parts;
  const depth = settings.dormancy;
  if (depth === "off") {
    const before = await board.inspect();
    await board.stop(signal);
    if (before.state === "off") return;
    const off = { board: board.name, instance: before.instance, since: clock.now(), cpuNs: 0, depth };
    return await systemFile.update((state) => ({ ...state, dormant: off })).catch(onTrouble);
  }
  try {
    await board.pause(signal);
  } catch (error) {
    const { state } = await board.inspect();
    if (state === "dead" || state === "off") return;
    throw error;
  }
  const condition = await board.inspect();
  if (condition.state !== "dormant") return;
  const { instance } = condition;
  const cpuNs = (await board.usage())?.cpuNs ?? 0;
  const dormant = { board: board.name, instance, since: clock.now(), cpuNs, depth };
  // Only people want to know it: a full disk does not fail a story for it.
  await systemFile.update((state) => ({ ...state, dormant })).catch(onTrouble);
}

/** The same of a board that is to be a standby: one that is not dormant is none. Errors: those of `Board.pause`, `board-died`. */
export async function beDormant(parts: Parts, board: Board, signal: AbortSignal): Promise<void> {
  await layToSleep(parts, board, signal);
  // The configuration changed while it booted: nobody waits for it any more.
  if (parts.settings.dormancy === "off") return;
  const { state } = await board.inspect();
  if (state !== "dormant")
    throw new TwinboardError("board-died", { detail: `board ${board.name}: it is ${state}` });
}
