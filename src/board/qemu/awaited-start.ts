/** Waits for a machine that is being started, or finds out why it does not come. */
import { setTimeout as sleep } from "node:timers/promises";
import { TwinboardError } from "../../errors.ts";
import { endText, isKill, killedStart } from "../killed-start.ts";
import { abortedCall } from "../time-limit.ts";
import { lockedExitCode } from "./launch-script.ts";
import type { MachineProcess } from "./machine-process.ts";

export interface AwaitedStart {
  readonly instance: string;
  /** Of the process that was launched. */
  readonly exit: Promise<number | NodeJS.Signals>;
  readonly find: () => Promise<MachineProcess | undefined>;
  /** Connects to the machine. */
  readonly attach: (machine: MachineProcess, signal: AbortSignal) => Promise<unknown>;
  /** What QEMU itself wrote last. */
  readonly lastWords: () => Promise<string>;
  /** Ends what has been started. */
  readonly stop: () => Promise<void>;
}

const pollMs = 10;

/**
 * Once the signal aborts nothing is left. Errors: `board-start-failed`, also if a limit of time is over (`abortedCall`); `board-start-killed`; the
 * signal's reason.
 */
export async function awaitStart(start: AwaitedStart, signal: AbortSignal): Promise<void> {
  const { instance, exit, find, attach, lastWords, stop } = start;
  let ended: number | NodeJS.Signals | undefined;
  void exit.then((how) => (ended = how));
  for (;;) {
    const machine = await find();
    if (machine?.instance === instance) {
      const attached = await attach(machine, signal).catch(() => undefined);
      if (attached !== undefined) return;
    }
    if (ended === lockedExitCode) throw startFailed("another process of this board is being started");
    if (ended !== undefined && isKill(ended)) throw await killedStart("QEMU", ended, lastWords, stop);
    if (ended !== undefined) throw startFailed(`${endText(ended)}: ${await lastWords()}`);
    if (signal.aborted) {
      const words = await lastWords();
      await stop();
      throw abortedCall(signal, "board-start-failed", (limit) =>
        startFailed(`QEMU did not answer ${limit}: ${words}`),
      );
    }
    await sleep(pollMs);
  }
}

export function startFailed(detail: string): TwinboardError {
  return new TwinboardError("board-start-failed", { detail });
}
