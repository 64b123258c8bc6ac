/** Silence: where boards have cards for themselves, past the host, one must say nothing more before another starts. */
import type { BoardName } from "../board/board.ts";
import type { Scene } from "./scene.ts";

/**
 * The board says nothing more when this resolves: its hook `deactivate` has ended, or it is paused, or it does not run. Nothing where the host
 * itself keeps boards apart. Repeatable. Errors: those of `Board.pause`.
 * @param options `ask`: it may still hear its hook; a board that hangs is paused at once.
 */
export async function silence(
  scene: Scene,
  name: BoardName,
  { ask }: { readonly ask: boolean },
): Promise<void> {
  const { parts, signal } = scene;
  const { service, boards, settings } = parts;
  if (!service.pastHost || (await boards[name].inspect()).state !== "running") return;
  if (ask && (await deactivated(scene, name, settings.hookTimeoutMs))) return;
  try {
    await boards[name].pause(signal);
  } catch (error) {
    signal.throwIfAborted();
    // One that died instead is silent too.
    if ((await boards[name].inspect()).state === "running") throw error;
  }
}

async function deactivated(scene: Scene, name: BoardName, timeoutMs: number): Promise<boolean> {
  try {
    const board = scene.parts.boards[name];
    return (
      (await scene.within(timeoutMs, "hook-failed", (hook) => board.runHook("deactivate", hook))) === "done"
    );
  } catch {
    scene.signal.throwIfAborted();
    return false;
  }
}

/** The board that goes on serving was silenced by pausing it: it wakes, so that its hook `activate` can run. Repeatable. */
export async function endSilence({ parts, signal }: Scene, name: BoardName): Promise<void> {
  const { service, boards } = parts;
  if (!service.pastHost || (await boards[name].inspect()).state !== "dormant") return;
  await boards[name].resume(signal);
}
