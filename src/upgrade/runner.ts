/** Runs a story along the table of phases, from any of them on; and undoes it, row by row backwards, when a phase fails. */
import { asTwinboardError, type ErrorCode, TwinboardError } from "../errors.ts";
import type { StoryFacts } from "./facts.ts";
import type { Outcome, PhaseName } from "./record.ts";
import type { Scene } from "./scene.ts";
import type { StoryResult } from "./status.ts";
import { type Phase, phases } from "./story.ts";
import { withFailedVersion } from "./system-file.ts";

/** The reason with which a stopping daemon leaves a story: it is neither undone nor ended, and the next daemon goes on with it. */
export class DaemonStopping extends Error {
  override readonly name = "DaemonStopping";
}

/** What tells of the software, not of the host or of a person's wish: the version is not tried again unless forced. */
const softwareFailures: ReadonlySet<ErrorCode> = new Set([
  "board-died",
  "board-not-ready",
  "board-wrong-version",
  "board-unhealthy",
  "board-hung",
  "hook-failed",
]);

/** What may be otherwise at the next boot. */
const worthAnotherTry: ReadonlySet<ErrorCode> = new Set([
  "board-died",
  "board-not-ready",
  "board-start-killed",
]);

const consoleLines = 20;

/** Rows of the table that a story has. */
export function rowsOf(facts: StoryFacts): readonly Phase[] {
  return phases.filter((phase) => phase.stories.includes(facts.kind));
}

/**
 * Runs the phases from `first` on to the end; a phase that fails has the story undone.
 * Errors: only `DaemonStopping`; everything else is in the result.
 */
export async function runStory(scene: Scene, first: PhaseName | null): Promise<StoryResult> {
  const rows = rowsOf(scene.facts);
  let index = first === null ? 0 : rows.findIndex((row) => row.name === first);
  let entered = rows[index];
  for (let row = entered; row !== undefined; row = rows[index]) {
    try {
      // A story that was cancelled by now has not entered the next row.
      if (row.pointOfNoReturn === true) scene.closeToCancellation();
      scene.signal.throwIfAborted();
      entered = row;
      await scene.record("phase-began", row.name);
      await row.run(scene);
      await scene.record("phase-done", row.name);
      index += 1;
    } catch (error) {
      if (scene.signal.reason instanceof DaemonStopping) throw scene.signal.reason;
      const again = await retry(scene, row, error);
      if (!again) return await failStory(scene, (entered ?? row).name, error);
      index = rows.findIndex((other) => other.name === row?.retryFrom);
    }
  }
  const { servesUnhealthy } = scene.facts;
  if (servesUnhealthy === null) return await endStory(scene, "committed");
  const unhealthy = new TwinboardError("board-unhealthy", { detail: servesUnhealthy });
  return await endStory(scene, "stuck", await describeError(scene, "verify", unhealthy));
}

/** Puts the board away for another try, if the row has one left and it may end otherwise. */
async function retry(scene: Scene, row: Phase, cause: unknown): Promise<boolean> {
  const { attempt, woken } = scene.facts;
  const { attempts } = scene.parts.settings;
  const isWorthIt = cause instanceof TwinboardError && worthAnotherTry.has(cause.code);
  if (row.retryFrom === undefined || !isWorthIt || woken || attempt >= attempts || scene.signal.aborted)
    return false;
  try {
    await scene.parts.boards[scene.facts.to].stop(scene.signal);
    await scene.note({ attempt: attempt + 1, instance: null, attemptFailed: cause.message });
    return true;
  } catch {
    // Then the first failure is the one to tell of, and undoing stops the board.
    return false;
  }
}

async function failStory(scene: Scene, phase: PhaseName, cause: unknown): Promise<StoryResult> {
  scene.beginUndoing();
  const { systemFile } = scene.parts;
  const { kind, to, toVersion } = scene.facts;
  const error = await describeError(scene, phase, cause);
  await scene.record("phase-failed", phase, { error });
  if (kind === "upgrade" && toVersion !== null && softwareFailures.has(asTwinboardError(cause).code)) {
    await blame(scene, toVersion);
  }
  // Once `system.json` is replaced the story is committed: what is left of it (an old board that does not go dormant) needs a person.
  if (phase === "commit" && kind !== "standby" && systemFile.state.primary === to)
    return await endStory(scene, "stuck", error);
  return await undoStory(scene, phase, error);
}

/** The version is not tried again unless forced. If that cannot be written, the service is taken back all the same. */
async function blame({ parts }: Scene, version: string): Promise<void> {
  try {
    await parts.systemFile.update((state) => withFailedVersion(state, version));
  } catch (error) {
    parts.onTrouble(error);
  }
}

/** Undoes a story from the row of `last` backwards to its first. Repeatable. Errors: only `DaemonStopping`. */
export async function undoStory(
  failed: Scene,
  last: PhaseName,
  cause: StoryResult["error"],
): Promise<StoryResult> {
  // A story that was cancelled is undone all the same; only the daemon's end stops this.
  const stopping = new AbortController();
  const stop = (): void => {
    if (failed.signal.reason instanceof DaemonStopping) stopping.abort(failed.signal.reason);
  };
  stop();
  failed.signal.addEventListener("abort", stop);
  const scene = failed.withSignal(stopping.signal);
  const rows = rowsOf(scene.facts);
  const upTo = rows.findIndex((row) => row.name === last);
  await scene.record("undo-began", last);
  try {
    for (const row of rows.slice(0, upTo + 1).toReversed()) await row.undo(scene);
  } catch (error) {
    if (stopping.signal.aborted) throw stopping.signal.reason;
    return await endStory(scene, "stuck", await describeError(scene, last, error));
  } finally {
    failed.signal.removeEventListener("abort", stop);
  }
  await scene.record("undo-done", last);
  return await endStory(scene, outcomeOf(scene.facts), cause);
}

/** What an undone story came to. */
function outcomeOf(facts: StoryFacts): Outcome {
  // While the primary does not come back nobody serves; after one more reboot it is simply tried again.
  if (facts.kind === "restart") return facts.error?.code === "host-rebooted" ? "failed" : "stuck";
  const moved = facts.phase === "probation" || (facts.phase === "takeover" && facts.phaseDone);
  if (moved || facts.takenBackAt !== null) return "rolled-back";
  return facts.phase === null || facts.phase === "deliver" ? "rejected" : "failed";
}

async function endStory(
  scene: Scene,
  outcome: Outcome,
  error: StoryResult["error"] = null,
): Promise<StoryResult> {
  const { facts } = scene;
  const result: StoryResult = {
    id: facts.id,
    kind: facts.kind,
    outcome,
    from: facts.fromVersion,
    to: facts.toVersion,
    phases: facts.phases,
    error,
    drain: facts.drain,
    endedAt: scene.parts.clock.now(),
  };
  await scene.record("story-ended", null, { result });
  return result;
}

export async function describeError(
  scene: Scene,
  phase: PhaseName,
  cause: unknown,
): Promise<NonNullable<StoryResult["error"]>> {
  const error = cause instanceof TwinboardError ? cause : asTwinboardError(cause);
  const { to } = scene.facts;
  const isWorthIt = error.code.startsWith("board-") || error.code === "hook-failed";
  const console = isWorthIt ? await scene.parts.boards[to].consoleTail(consoleLines).catch(() => []) : [];
  return { code: error.code, message: error.message, remedy: error.remedy, phase, console };
}
