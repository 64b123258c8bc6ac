/** On which cores the threads of a process may run: read from /proc, set by taskset(1). */
import { join } from "node:path";
import { coreListText, coresInStatus } from "./core-list.ts";
import { processStartTicks } from "./host.ts";
import { directoriesIn, readAtOnce } from "./memory-file.ts";
import { run } from "./process.ts";

export interface Thread {
  readonly id: number;
  /** As it calls itself (proc(5), /proc/PID/task/TID/comm). */
  readonly name: string;
  /** proc(5), `Cpus_allowed_list`. */
  readonly cores: readonly number[];
}

/** Those that live; none if the process is gone. */
export function threadsOf(pid: number): Thread[] {
  const tasks = `/proc/${pid}/task`;
  return directoriesIn(tasks).flatMap((id) => {
    // It may have ended since.
    const status = readAtOnce(join(tasks, id, "status")) ?? "";
    const name = /^Name:\t(.*)$/m.exec(status)?.[1];
    const cores = coresInStatus(status);
    return name === undefined || cores === undefined ? [] : [{ id: Number(id), name, cores }];
  });
}

/** In how many rounds a process is looked at for threads that began meanwhile. */
const mostRounds = 4;

/**
 * Lets each thread run on the cores that `coresOf` gives it alone, also those that begin meanwhile: they inherit from the one that begins
 * them, or are found in the next round. Repeatable, and nothing is done to a thread that is where it belongs.
 * Errors: `command-failed` (the kernel takes none of these cores for it: none is online, or its cpuset has none); the signal's reason.
 */
export async function placeThreads(
  pid: number,
  coresOf: (thread: Thread) => readonly number[],
  signal: AbortSignal,
): Promise<void> {
  // What a cpuset leaves of the cores that were asked for is all that there is: once is enough.
  const placed = new Set<number>();
  for (let round = 0; round < mostRounds; round += 1) {
    const others = threadsOf(pid).filter((thread) => {
      const cores = coreListText(coresOf(thread));
      return !placed.has(thread.id) && coreListText(thread.cores) !== cores;
    });
    if (others.length === 0) return;
    for (const thread of others) {
      placed.add(thread.id);
      try {
        await run("taskset", ["-p", "-c", coreListText(coresOf(thread)), String(thread.id)], { signal });
      } catch (error) {
        signal.throwIfAborted();
        if ((await processStartTicks(thread.id)) !== undefined) throw error;
      }
    }
  }
}
