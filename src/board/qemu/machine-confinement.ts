/** How the host holds a machine: its share of a processor, the cores that it runs on, and the memory that it may take. */
import {
  type CpuGroup,
  cpuShare,
  joinGroup,
  makeCpuGroup,
  removeCpuGroup,
  setCpuPriority,
  setCpuShare,
  threadsOutside,
} from "../../system/cgroup.ts";
import { makeCpuset, removeCpuset } from "../../system/cpuset-group.ts";
import { LeastShare } from "../../system/least-share.ts";
import {
  type MemoryGroup,
  makeMemoryGroup,
  memoryKills,
  removeMemoryGroup,
} from "../../system/memory-group.ts";
import type { BoardConfinement, BoardPlacement } from "../board.ts";
import { MachinePlacement } from "./machine-placement.ts";
import { type MachineProcess, machineSchedule } from "./machine-process.ts";

const tendTimeoutMs = 5000;

export interface MachineConfinementOptions {
  readonly groupName: string;
  readonly placement: BoardPlacement | undefined;
  /** Virtual processors. */
  readonly cpus: number;
  /** Most that the machine may take of the host, its own memory and all that QEMU needs. */
  readonly memoryLimitBytes: number;
}

export class MachineConfinement {
  readonly placement: MachinePlacement;
  readonly #groupName: string;
  readonly #leastShare: LeastShare;
  readonly #memoryLimitBytes: number;
  #cpu: CpuGroup | undefined;
  #memory: MemoryGroup | undefined;
  /** Directory of its cpuset; without one affinity alone holds it. */
  #cpuset: string | undefined;
  /** Why a thread could not be put back into its group. */
  #escape: string | undefined;

  constructor({ groupName, placement, cpus, memoryLimitBytes }: MachineConfinementOptions) {
    this.#groupName = groupName;
    this.#memoryLimitBytes = memoryLimitBytes;
    this.placement = new MachinePlacement(placement ?? { cores: null, emulator: null });
    this.#leastShare = new LeastShare(cpus);
  }

  /** Once it was set up. */
  get cpu(): CpuGroup | undefined {
    return this.#cpu;
  }

  /** Of the groups that a machine is to be started in: those that the host has. */
  get groupPaths(): readonly string[] {
    return [
      ...new Set([this.#cpu?.path, this.#memory?.path, this.#cpuset].filter((path) => path !== undefined)),
    ];
  }

  /** Makes the groups, and puts a machine that runs where it belongs. Repeatable. Errors: the signal's reason. */
  async setUp(machine: MachineProcess | undefined, signal: AbortSignal): Promise<void> {
    // What its group has counted is the last machine's.
    if (machine === undefined) await this.remove().catch(() => undefined);
    this.#cpu = await makeCpuGroup(this.#groupName);
    this.#memory = await makeMemoryGroup(this.#groupName, this.#memoryLimitBytes);
    // The configuration may be another than when it was started. What the kernel refuses is told by `of`.
    await this.#applyPlacement(machine, signal).catch(() => signal.throwIfAborted());
  }

  /** From now on, and for each later start. Errors: `command-failed`; the signal's reason. */
  async place(
    placement: BoardPlacement,
    machine: MachineProcess | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    this.placement.want(placement);
    await this.#applyPlacement(machine, signal);
  }

  /** The cpuset first: it bounds what affinity can be. */
  async #applyPlacement(machine: MachineProcess | undefined, signal: AbortSignal): Promise<void> {
    this.#cpuset = (await makeCpuset(this.#groupName, this.placement.all)) ?? this.#cpuset;
    if (machine !== undefined) await this.#bringBack(machine);
    await this.placement.apply(machine, signal);
  }

  /** Of no machine that runs. Repeatable. */
  async remove(): Promise<void> {
    await removeCpuGroup(this.#groupName);
    await removeMemoryGroup(this.#groupName);
    await removeCpuset(this.#groupName);
    this.#cpuset = undefined;
  }

  /** Why the kernel ended the last machine, if it did. */
  async death(): Promise<string | undefined> {
    if (this.#memory === undefined || (await memoryKills(this.#memory)) === 0) return undefined;
    const limit = `${Math.ceil(this.#memoryLimitBytes / 1024 ** 2)} MiB`;
    return `the kernel killed it, which wanted more memory than its control group may have (${limit}; boards.memory and what QEMU needs)`;
  }

  async setPriority(priority: "background" | "service"): Promise<void> {
    this.#cpu ??= await makeCpuGroup(this.#groupName);
    this.#leastShare.forget();
    await setCpuPriority(this.#cpu, priority);
  }

  /** Looks after a machine that runs: puts back what strays, and raises one that gets no processor time. Reads what the kernel has. */
  async tend(machine: MachineProcess): Promise<void> {
    await this.#bringBack(machine);
    await this.placement.mend(machine, AbortSignal.timeout(tendTimeoutMs));
    const group = this.#cpu;
    const percent = group === undefined ? undefined : await cpuShare(group);
    if (group === undefined || percent === undefined || percent >= 100) return;
    const schedule = await machineSchedule(machine.pid);
    const raised = schedule === undefined ? undefined : this.#leastShare.look(schedule, percent);
    // A takeover in between gave it all that there is.
    if (raised !== undefined && (await cpuShare(group)) === percent) await setCpuShare(group, raised);
  }

  async of(machine: MachineProcess | undefined): Promise<BoardConfinement> {
    const placed = await this.placement.of(machine);
    const share = this.#cpu === undefined ? undefined : await cpuShare(this.#cpu);
    const lacks = [...placed.lacks];
    if (this.#cpu?.way === "none")
      lacks.push(`it is not kept out of the other's way while it boots: ${this.#cpu.reason}`);
    if (this.#memory?.path === undefined && this.#memory !== undefined)
      lacks.push(`its memory is not limited: ${this.#memory.reason}`);
    for (const path of machine === undefined ? [] : this.groupPaths) {
      const outside = await threadsOutside(path, machine?.pid ?? 0);
      const why = this.#escape === undefined ? "" : `: ${this.#escape}`;
      if (outside > 0) lacks.push(`${outside} threads are outside its control group ${path}${why}`);
    }
    return { ...placed, sharePercent: share ?? null, lacks };
  }

  /** A thread may have begun, or ended, between two reads: to put a process where it is changes nothing. */
  async #bringBack({ pid }: MachineProcess): Promise<void> {
    this.#escape = undefined;
    for (const path of this.groupPaths) {
      if ((await threadsOutside(path, pid)) === 0) continue;
      await joinGroup(path, pid).catch((error: Error) => (this.#escape = error.message));
    }
  }
}
