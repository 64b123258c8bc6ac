/**
 * A machine's threads: what they are for, and what the kernel tells of each. QEMU names them (`debug-threads=on`): those that are virtual
 * processors are known by that, also of a machine that sleeps and is asked nothing.
 */
import { join } from "node:path";
import { directoriesIn, readAtOnce } from "../../system/memory-file.ts";
import type { Thread } from "../../system/thread-affinity.ts";

/** `CPU 0/KVM`, `CPU 0/TCG`; `ALL CPUs/TCG` where one thread emulates all of them (QEMU, accel). */
const processorName = /^(CPU \d+|ALL CPUs)\//;

export const isProcessor = ({ name }: Pick<Thread, "name">): boolean => processorName.test(name);

/** A file of each thread of a process (proc(5), /proc/PID/task/TID); `undefined` of one that has ended since, none if the process is gone. */
export function ofThreads(pid: number, file: string): (string | undefined)[] {
  const tasks = `/proc/${pid}/task`;
  return directoriesIn(tasks).map((thread) => readAtOnce(join(tasks, thread, file)));
}
