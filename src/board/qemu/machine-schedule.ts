/**
 * How much a machine ran and waited for a processor since somebody last looked, by the scheduler's account of its threads (kernel
 * documentation, sched-stats, `/proc/PID/task/TID/schedstat`).
 */
import { readdir, readFile } from "node:fs/promises";
import type { Stretch } from "../../system/least-share.ts";

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

  /** `undefined` if the process is gone or changed while it was read, and at the first look at it. Threads that have ended make no progress. */
  async look(pid: number): Promise<Stretch | undefined> {
    const [last, now] = [this.#last, await accountOf(pid)];
    this.#last = now;
    if (now === undefined || last?.pid !== pid) return undefined;
    return {
      runNs: Math.max(0, now.runNs - last.runNs),
      waitNs: Math.max(0, now.waitNs - last.waitNs),
      passedNs: (now.atMs - last.atMs) * 1e6,
    };
  }
}

async function accountOf(pid: number): Promise<Account | undefined> {
  try {
    const threads = await readdir(`/proc/${pid}/task`);
    let [runNs, waitNs] = [0, 0];
    for (const thread of threads) {
      const [run, wait] = (await readFile(`/proc/${pid}/task/${thread}/schedstat`, "utf8")).split(" ");
      runNs += Number(run);
      waitNs += Number(wait);
    }
    return { pid, runNs, waitNs, atMs: performance.now() };
  } catch {
    return undefined;
  }
}
