/**
 * Take-back: the service returns to the board that held it before the takeover. It is tried again until a deadline; if it cannot be done,
 * whichever board answers keeps the service, and the system is *stuck*.
 */
import type { BoardName } from "../board/board.ts";
import { asTwinboardError, TwinboardError } from "../errors.ts";
import { drainBoard, endFlows } from "./drain.ts";
import type { Scene } from "./scene.ts";
import { endSilence, silence } from "./silence.ts";
import { lossByMove } from "./wires.ts";

/** Pause between two attempts, in ms: a board that is waking needs some. */
const retryMs = 200;

/** Undoes the takeover, whether it happened, half happened, or did not. Errors: `take-back-failed`, `no-board-works`. */
export async function takeBack(scene: Scene): Promise<void> {
  const { parts, facts, signal } = scene;
  const { service } = parts;
  const { from, to, takeoverAt } = facts;
  const { holder } = await service.inspect();
  if (holder === to) {
    await refuseToGoBack(scene);
    if (from === null) await keepServing(scene);
    else await handBack(scene, from);
  }
  await service.release(signal);
  // After a reboot of the host there is no holder and nothing to drain: the primary, still the old board, is booted by `restart`.
  if (holder === null || from === null || takeoverAt === null) return;
  // Also if the service had moved back already: the daemon before us may have come no further.
  await activateAgain(scene, from);
  const backDrain = await drainBoard(scene, to, scene.facts.takenBackAt ?? parts.clock.now());
  await service.fence(to);
  await scene.noteForReport({ backDrain });
}

/**
 * A failover relieved a board that died, hangs or has no link: while the other runs at all, going back would be worse. What the failed one had begun is
 * ended. Errors: `take-back-failed`.
 */
async function refuseToGoBack(scene: Scene): Promise<void> {
  const { parts, facts } = scene;
  const { from, to, failure } = facts;
  if (failure === null || failure.cause === "unhealthy" || from === null) return;
  if ((await parts.boards[to].inspect()).state !== "running") return;
  // Its wire may be whole again.
  if (failure.cause === "unlinked" && (await lossByMove(parts.service, to, from)) === null) return;
  await endFlows(scene, from);
  await parts.service.fence(from);
  throw new TwinboardError("take-back-failed", {
    detail: `board ${to} keeps the service; board ${from} had failed before: ${failure.detail}`,
  });
}

async function handBack(scene: Scene, from: BoardName): Promise<void> {
  const { parts, signal } = scene;
  const { clock, boards, service, settings } = parts;
  const deadline = clock.monotonic() + settings.takeBackTimeoutMs;
  for (;;) {
    try {
      const { state } = await boards[from].inspect();
      // A board that is gone does not mend: whatever else works keeps the service.
      if (state === "off" || state === "dead") throw await worstCase(scene, from, `it is ${state}`);
      await boards[from].setPriority("service");
      // Beside it, how the service stands: `prepare` takes what was just read, and reads itself, with its error, where that failed.
      const look = async (): Promise<unknown> => await service.inspect().catch(() => undefined);
      if (state === "dormant") await Promise.all([boards[from].resume(signal), look()]);
      await keepOutside(scene, from);
      await service.prepare(from, signal, { partly: true });
      await silence(scene, scene.facts.to, { ask: true });
      await service.handOver(from, signal, { partly: true });
      break;
    } catch (error) {
      if (error instanceof TwinboardError && error.kind === "stuck") throw error;
      if (clock.monotonic() >= deadline) throw await worstCase(scene, from, asTwinboardError(error).message);
      await clock.sleep(retryMs, signal);
    }
  }
  await scene.note({ takenBackAt: clock.now() });
}

/** A new board that runs and has a link is not given up for an old one that has none. Errors: `board-unlinked`. */
async function keepOutside({ parts, facts }: Scene, from: BoardName): Promise<void> {
  const { boards, service } = parts;
  const { state } = await boards[facts.to].inspect();
  const loss = state === "running" ? await lossByMove(service, facts.to, from) : null;
  if (loss !== null) throw new TwinboardError("board-unlinked", { detail: `board ${from}: ${loss}` });
}

/** The old board serves already; a hook of it that fails now is noted, and stops nothing. */
async function activateAgain(scene: Scene, from: BoardName): Promise<void> {
  const { boards, settings } = scene.parts;
  try {
    await endSilence(scene, from);
    await boards[from].setPriority("service");
    await scene.within(settings.hookTimeoutMs, "hook-failed", (hook) =>
      boards[from].runHook("activate", hook),
    );
  } catch (error) {
    scene.signal.throwIfAborted();
    await scene.note({ activateFailed: asTwinboardError(error).message });
  }
}

/** Nobody takes the service back. What the old board had begun ends as it would have: finished, or cut, and never in silence. */
async function worstCase(scene: Scene, from: BoardName, reason: string): Promise<TwinboardError> {
  const { boards, service, clock } = scene.parts;
  const { to, takeoverAt } = scene.facts;
  await drainBoard(scene, from, takeoverAt ?? clock.now());
  await service.fence(from);
  const { state } = await boards[to].inspect();
  return state === "running"
    ? new TwinboardError("take-back-failed", {
        detail: `board ${to} keeps the service; board ${from}: ${reason}`,
      })
    : new TwinboardError("no-board-works", { detail: `board ${to} is ${state}; board ${from}: ${reason}` });
}

/** A first installation has nobody to give the service back to: a board that runs keeps serving, its slot *unknown*, and boots again. */
async function keepServing(scene: Scene): Promise<never> {
  const { parts, facts } = scene;
  const { state } = await parts.boards[facts.to].inspect();
  if (state !== "running")
    throw new TwinboardError("no-board-works", { detail: `board ${facts.to} is ${state}` });
  await parts.systemFile.update((system) => ({ ...system, primary: facts.to }));
  throw new TwinboardError("take-back-failed", {
    detail: `there is no other board to give the service back to; board ${facts.to} keeps serving`,
  });
}
