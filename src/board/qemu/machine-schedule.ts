/**
 * How much a machine ran and waited for a processor since somebody last looked, by the scheduler's account of its threads (kernel
 * documentation, sched-stats, `/proc/PID/task/TID/schedstat`).
 */
import type { Stretch } from "../../system/least-share.ts";
import { ofThreads } from "./machine-threads.ts";

/** Of all threads that live, since each began. */
interface Account {
  readonly pid: number;
  readonly runNs: number;
  readonly waitNs: number;
  /** Milliseconds of any clock. */
  readonly atMs: number;
}

export class MachineSchedule {
  #last: Account | undefined;

  /** The next look is the first. */
  forget(): void {
    this.#last = undefined;
  }

  /** `undefined` if the process is gone or changed while it was read, and at the first look at it. Threads that have ended make no progress. */
  look(pid: number): Stretch | undefined {
    const [last, now] = [this.#last, accountOf(pid)];
    this.#last = now;
    if (now === undefined || last?.pid !== pid) return undefined;
    return {
      runNs: Math.max(0, now.runNs - last.runNs),
      waitNs: Math.max(0, now.waitNs - last.waitNs),
      passedNs: (now.atMs - last.atMs) * 1e6,
    };
  }
}

function accountOf(pid: number): Account | undefined {
  const texts = ofThreads(pid, "schedstat");
  let [runNs, waitNs] = [0, 0];
  for (const text of texts) {
    if (text === undefined) return undefined;
    const [run, wait] = text.split(" ");
    runNs += Number(run);
    waitNs += Number(wait);
  }
  return texts.length === 0 ? undefined : { pid, runNs, waitNs, atMs: performance.now() };
}
