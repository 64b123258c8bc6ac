/** Waits for a container that is being started, or finds out why it does not come. */
import { setTimeout as sleep } from "node:timers/promises";
import { TwinboardError } from "../../errors.ts";
import type { Trace } from "./container-process.ts";
import { lockedExitCode } from "./launch-script.ts";

export interface AwaitedContainer {
  readonly instance: string;
  /** Of the launch script. */
  readonly exit: Promise<number | null>;
  readonly find: () => Promise<Trace | undefined>;
  /** What the runtime and the script wrote last. */
  readonly lastWords: () => Promise<string>;
  /** Ends what has been started. */
  readonly stop: () => Promise<void>;
}

const timeoutMs = 60_000;
const pollMs = 5;

/** Resolves also when it has ended by itself meanwhile. Errors: `board-start-failed`; the signal's reason. */
export async function awaitContainer(
  { instance, exit, find, lastWords, stop }: AwaitedContainer,
  signal: AbortSignal,
): Promise<void> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  let code: number | null | undefined;
  void exit.then(
    (found) => (code = found ?? -1),
    () => (code = -1),
  );
  for (;;) {
    const ended = code;
    if ((await find())?.process.instance === instance) return;
    if (ended === lockedExitCode) throw startFailed("another process of this board is being started");
    if (ended !== undefined) throw startFailed(`exit code ${ended}: ${await lastWords()}`);
    if (deadline.aborted) {
      await stop();
      signal.throwIfAborted();
      throw startFailed(`no container within ${timeoutMs} ms: ${await lastWords()}`);
    }
    await sleep(pollMs);
  }
}

export function startFailed(detail: string): TwinboardError {
  return new TwinboardError("board-start-failed", { detail });
}
