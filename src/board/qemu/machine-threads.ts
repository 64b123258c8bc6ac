/**
 * What a machine's threads are for. QEMU names them (`debug-threads=on`): those that are virtual processors are known by that, also of a
 * machine that sleeps and is asked nothing.
 */
import type { Thread } from "../../system/thread-affinity.ts";

/** `CPU 0/KVM`, `CPU 0/TCG`; `ALL CPUs/TCG` where one thread emulates all of them (QEMU, accel). */
const processorName = /^(CPU \d+|ALL CPUs)\//;

export const isProcessor = ({ name }: Pick<Thread, "name">): boolean => processorName.test(name);
