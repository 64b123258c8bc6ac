/**
 * Which of the host's cores a machine's threads run on. QEMU names its threads (`debug-threads=on`): those that are virtual processors are
 * known by that, also of a machine that sleeps and is asked nothing.
 */
import { coreListText } from "../../system/core-list.ts";
import { hostCores } from "../../system/host-cores.ts";
import { placeThreads, type Thread, threadsOf } from "../../system/thread-affinity.ts";
import type { BoardPlacement } from "../board.ts";
import type { MachineProcess } from "./machine-process.ts";

/** `CPU 0/KVM`, `CPU 0/TCG`; `ALL CPUs/TCG` where one thread emulates all of them (QEMU, accel). */
const processorName = /^(CPU \d+|ALL CPUs)\//;

export const isProcessor = ({ name }: Pick<Thread, "name">): boolean => processorName.test(name);

export class MachinePlacement {
  #wanted: BoardPlacement;
  /** Why the threads are not where they should be, if that was tried and refused. */
  #refusal: string | undefined;

  constructor(wanted: BoardPlacement) {
    this.#wanted = wanted;
  }

  /** For a machine that is about to start, whose first thread is none of its processors. Empty: all. */
  get launchCores(): readonly number[] {
    return this.#wanted.emulator ?? this.#wanted.cores ?? [];
  }

  /** Of all of its threads together; `null`: all that there are. */
  get all(): readonly number[] | null {
    const { cores, emulator } = this.#wanted;
    return cores === null ? null : [...new Set([...cores, ...(emulator ?? [])])];
  }

  want(wanted: BoardPlacement): void {
    this.#wanted = wanted;
  }

  /** Puts every thread where it belongs, if there is a machine. Repeatable. Errors: `command-failed`; the signal's reason. */
  async apply(machine: MachineProcess | undefined, signal: AbortSignal): Promise<void> {
    if (machine === undefined) return;
    const { cores, emulator } = this.#wanted;
    const { allowed } = await hostCores();
    const wantedOf = (thread: Thread): readonly number[] => {
      const wanted = isProcessor(thread) ? cores : (emulator ?? cores);
      if (wanted !== null) return wanted;
      // A thread that may use more (cores that are not there yet) is free already.
      return allowed.every((core) => thread.cores.includes(core)) ? thread.cores : allowed;
    };
    try {
      await placeThreads(machine.pid, wantedOf, signal);
      this.#refusal = undefined;
    } catch (error) {
      this.#refusal = (error as Error).message;
      throw error;
    }
  }

  /** Puts back what somebody else let run elsewhere. What cannot be put back is told by `of`. Repeatable, and cheap when nothing is astray. */
  async mend(machine: MachineProcess, signal: AbortSignal): Promise<void> {
    const { cores, emulator } = this.#wanted;
    if (cores === null && emulator === null) return;
    if ((await threadsOf(machine.pid)).some((thread) => this.#isAstray(thread)))
      await this.apply(machine, signal).catch(() => undefined);
  }

  /** What the kernel allows the threads of a machine that runs, else what is wanted; and what is not as it should be. */
  async of(machine: MachineProcess | undefined): Promise<{
    readonly cores: string | null;
    readonly emulator: string | null;
    readonly lacks: readonly string[];
  }> {
    const threads = machine === undefined ? [] : await threadsOf(machine.pid);
    const { cores, emulator } = this.#wanted;
    const astray = threads.filter((thread) => this.#isAstray(thread)).map(({ name }) => name);
    const why = this.#refusal === undefined ? "" : `: ${this.#refusal}`;
    return {
      cores: coresOf(threads.filter(isProcessor), cores),
      emulator: coresOf(
        threads.filter((thread) => !isProcessor(thread)),
        emulator ?? cores,
      ),
      lacks:
        astray.length === 0
          ? []
          : [`${astray.length} threads may use other cores than configured (${astray[0]})${why}`],
    };
  }

  #isAstray(thread: Thread): boolean {
    const { cores, emulator } = this.#wanted;
    const wanted = isProcessor(thread) ? cores : (emulator ?? cores);
    return wanted !== null && thread.cores.some((core) => !wanted.includes(core));
  }
}

/** What the kernel allows these threads; without any, what is wanted. */
function coresOf(threads: readonly Thread[], wanted: readonly number[] | null): string | null {
  if (threads.length > 0) return coreListText(threads.flatMap(({ cores }) => cores));
  return wanted === null ? null : coreListText(wanted);
}
