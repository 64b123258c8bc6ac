/** Drain: a board finishes what it began. If it dies meanwhile, or is dead already, its clients learn at once. */
import type { BoardName } from "../board/board.ts";
import { TwinboardError } from "../errors.ts";
import type { DrainResult } from "../service/service.ts";
import type { Scene } from "./scene.ts";

/** Ends at once what a board had begun that failed: its clients learn of it. Does not fence. Repeatable. */
export async function endFlows(scene: Scene, name: BoardName): Promise<DrainResult> {
  const { service, clock } = scene.parts;
  return await service.drain(
    name,
    {
      sinceMs: clock.now(),
      atOnce: true,
      onProgress: (drain) => scene.progress({ awaiting: `the end of what board ${name} had begun`, drain }),
    },
    scene.signal,
  );
}

/** Does not fence. Repeatable. @param sinceMs when the board's drain began, ms since 1970: deadlines count from there. */
export async function drainBoard(scene: Scene, name: BoardName, sinceMs: number): Promise<DrainResult> {
  const drainIn = (within: Scene, atOnce: boolean): Promise<DrainResult> =>
    scene.parts.service.drain(
      name,
      {
        sinceMs,
        atOnce,
        onProgress: (drain) => scene.progress({ awaiting: `the drain of board ${name}`, drain }),
      },
      within.signal,
    );
  try {
    return await scene.whileAlive(name, (alive) => drainIn(alive, false));
  } catch (error) {
    const died = error instanceof TwinboardError && error.code === "board-died";
    if (!died || scene.signal.aborted) throw error;
    return await drainIn(scene, true);
  }
}

/** Shuts the fence of a board that does not hold. If an earlier story left it draining, what it began ends first, and not in silence. */
export async function fenceDrained(scene: Scene, name: BoardName, sinceMs: number): Promise<void> {
  const { service } = scene.parts;
  if ((await service.inspect()).draining === name) await drainBoard(scene, name, sinceMs);
  await service.fence(name);
}

/** What the board's last run had begun, if an earlier story left it draining, ends before its next run begins, which is fenced. */
export async function endLeftovers(scene: Scene, name: BoardName): Promise<void> {
  const { service } = scene.parts;
  if ((await service.inspect()).draining !== name) return;
  await endFlows(scene, name);
  await service.fence(name);
}
