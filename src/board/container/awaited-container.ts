/** Waits for a container that is being started, or finds out why it does not come. */
import { setTimeout as sleep } from "node:timers/promises";
import { TwinboardError } from "../../errors.ts";
import { endText, isKill, killedStart } from "../killed-start.ts";
import { abortedCall } from "../time-limit.ts";
import type { Trace } from "./container-process.ts";
import { lockedExitCode } from "./launch-script.ts";

export interface AwaitedContainer {
  readonly instance: string;
  /** Of the launch script. */
  readonly exit: Promise<number | NodeJS.Signals>;
  readonly find: () => Promise<Trace | undefined>;
  /** Which process of the runtime is at work, in words; `undefined`: none. */
  readonly runtime: () => Promise<string | undefined>;
  /** What the runtime and the script wrote last. */
  readonly lastWords: () => Promise<string>;
  /** Ends what has been started. */
  readonly stop: () => Promise<void>;
}

const pollMs = 5;
/** As a shell tells SIGKILL. */
const killedExitCode = 137;

/**
 * Resolves also when it has ended by itself meanwhile. Once the signal aborts nothing of it is left.
 * Errors: `board-start-failed`; `board-start-killed`; `runtime-hangs` or `board-start-failed` if a limit of time is over (`abortedCall`); the signal's reason.
 */
export async function awaitContainer(
  { instance, exit, find, runtime, lastWords, stop }: AwaitedContainer,
  signal: AbortSignal,
): Promise<void> {
  let code: number | NodeJS.Signals | "not begun" | undefined;
  void exit.then(
    (how) => (code = how),
    () => (code = "not begun"),
  );
  for (;;) {
    const ended = code;
    if ((await find())?.process.instance === instance) return;
    if (ended === lockedExitCode) throw startFailed("another process of this board is being started");
    if (ended === "not begun") throw startFailed(`the launch script was not begun: ${await lastWords()}`);
    // The script ends as the runtime did.
    if (ended === killedExitCode) throw await killedStart("the runtime", "SIGKILL", lastWords, stop);
    if (ended !== undefined && isKill(ended))
      throw await killedStart("the launch script", ended, lastWords, stop);
    if (ended !== undefined) throw startFailed(`the launch script: ${endText(ended)}: ${await lastWords()}`);
    if (signal.aborted) {
      const [hanging, words] = [await runtime(), await lastWords()];
      const left = await stop().then(
        () => "",
        (error: Error) => `; it could not be ended: ${error.message}`,
      );
      throw abortedCall(signal, "board-start-failed", (limit) =>
        hanging === undefined
          ? startFailed(`no container ${limit}: ${words}${left}`)
          : new TwinboardError("runtime-hangs", {
              detail: `${hanging} did not start the container ${limit}: ${words}${left}`,
            }),
      );
    }
    await sleep(pollMs);
  }
}

export function startFailed(detail: string): TwinboardError {
  return new TwinboardError("board-start-failed", { detail });
}
