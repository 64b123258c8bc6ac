/**
 * The control groups of a board that is a machine, one for each controller: QEMU is started in them, with all its threads. In version 1 those
 * of memory and cores are below the daemon's own, so that what is set for the daemon holds for its machines too.
 */
import { type CpuGroup, makeCpuGroup, removeCpuGroup } from "../../system/cgroup.ts";
import { type CpusetGroup, keepCores, makeCpuset, removeCpuset } from "../../system/cpuset-group.ts";
import { type MemoryGroup, makeMemoryGroup, removeMemoryGroup } from "../../system/memory-group.ts";
import type { BoardGroups, ThreadHome } from "../confinement.ts";

export class MachineGroups implements BoardGroups {
  /** Most that the machine may take of the host, its own memory and all that QEMU needs. */
  readonly memoryLimitBytes: number;
  readonly #name: string;
  #cpu: CpuGroup | undefined;
  #memory: MemoryGroup | undefined;
  #cpuset: CpusetGroup = { path: undefined, reason: null };

  constructor(name: string, memoryLimitBytes: number) {
    this.#name = name;
    this.memoryLimitBytes = memoryLimitBytes;
  }

  get cpu(): CpuGroup | undefined {
    return this.#cpu;
  }

  get memory(): MemoryGroup | undefined {
    return this.#memory;
  }

  get coresReason(): string | null {
    return this.#cpuset.path === undefined ? this.#cpuset.reason : null;
  }

  /** Directories of the groups that a machine is to be started in: those that the host has. */
  get paths(): readonly string[] {
    return [
      ...new Set(
        [this.#cpu?.path, this.#memory?.path, this.#cpuset.path].filter((path) => path !== undefined),
      ),
    ];
  }

  async make(): Promise<void> {
    this.#cpu = await makeCpuGroup(this.#name);
    this.#memory = await makeMemoryGroup(this.#name, this.memoryLimitBytes);
  }

  async bound(cores: readonly number[] | null): Promise<void> {
    const made = await makeCpuset(this.#name, cores);
    // A machine that runs is still in the one that it was started in.
    if (made.path !== undefined || this.#cpuset.path === undefined) this.#cpuset = made;
  }

  keep(cores: readonly number[] | null): Promise<void> {
    if (this.#cpuset.path !== undefined) keepCores(this.#cpuset.path, cores);
    return Promise.resolve();
  }

  homes(): Promise<readonly ThreadHome[]> {
    return Promise.resolve(this.paths.map((path) => ({ group: path, within: [path] })));
  }

  async forget(): Promise<void> {
    await this.remove();
  }

  async remove(): Promise<void> {
    await removeCpuGroup(this.#name);
    await removeMemoryGroup(this.#name);
    await removeCpuset(this.#name);
    this.#cpuset = { path: undefined, reason: null };
  }
}
