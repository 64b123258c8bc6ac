/**
 * The control groups of a board that is a container, and who owns which controller. The runtime makes the container's group in each tree,
 * `BOARD/board`, and removes it; the board's directory above it is the driver's, and outlives the container.
 * - Processor shares: `BOARD` (`system/cgroup.ts`). It has the helpers too, in `BOARD/host`.
 * - Memory: `BOARD` (`system/memory-group.ts`), and the runtime is asked for no limit: what the kernel has counted there is still there when
 *   the container is gone. Version 1 counts in a process's own group alone, so there the first process is moved up before its first instruction.
 * - Cores: the container's group, by the runtime at its start and by this file afterwards.
 * - Everything else (freezer, account, processes, devices): the container's group, by the runtime.
 */
import { join } from "node:path";
import { openHome } from "../../system/boards-scope.ts";
import { type CpuGroup, makeCpuGroup } from "../../system/cgroup.ts";
import { findCgroupTrees } from "../../system/cgroup-trees.ts";
import { type MemoryGroup, makeMemoryGroup } from "../../system/memory-group.ts";
import type { BoardGroups, ThreadHome } from "../confinement.ts";
import type { ContainerGroup } from "./container-group.ts";

/** A launch script that an earlier daemon left at its work keeps them. */
const forgetTries = 20;

/** Controllers of version 2 that the container's group is to have besides those of the board's. */
const forRuntime = ["pids", "cpuset"] as const;

export class ContainerGroups implements BoardGroups {
  readonly memoryLimitBytes: number;
  readonly container: ContainerGroup;
  readonly #name: string;
  #cpu: CpuGroup | undefined;
  #memory: MemoryGroup | undefined;
  #coresReason: string | null = null;

  constructor(name: string, container: ContainerGroup, memoryLimitBytes: number) {
    this.#name = name;
    this.container = container;
    this.memoryLimitBytes = memoryLimitBytes;
  }

  get cpu(): CpuGroup | undefined {
    return this.#cpu;
  }

  get memory(): MemoryGroup | undefined {
    return this.#memory;
  }

  get coresReason(): string | null {
    return this.#coresReason;
  }

  /** Directory of the group that the first process is moved up to; `undefined` where it need not be. */
  get memoryHome(): string | undefined {
    return this.#memory?.path !== undefined && this.#memory.limitFile === "memory.limit_in_bytes"
      ? this.#memory.path
      : undefined;
  }

  /** Directories that the container's helpers have groups in. */
  async helperPaths(): Promise<readonly string[]> {
    const paths = [this.#cpu?.path, (await this.container.directories("time"))?.board];
    return [...new Set(paths.filter((path) => path !== undefined))];
  }

  /** Where the container is, all that concerns it is: also in version 1 its memory's group is at the top of the tree, and not below the daemon's. */
  async make(): Promise<void> {
    // The runtime sees the board's group as the top of the tree, and can hand down no more than that has.
    const { unified } = await findCgroupTrees();
    if (unified !== undefined)
      for (const controller of forRuntime) await openHome(unified, controller).catch(() => undefined);
    this.#cpu = await makeCpuGroup(this.#name);
    this.#memory = await makeMemoryGroup(this.#name, this.memoryLimitBytes, { level: "top" });
  }

  async bound(cores: readonly number[] | null): Promise<void> {
    const isHeld = cores === null || (await this.container.hasCores());
    this.#coresReason = isHeld ? null : "no cpuset controller is mounted";
    await this.keep(cores);
  }

  async keep(cores: readonly number[] | null): Promise<void> {
    await this.container.setCores(cores);
  }

  async homes(): Promise<readonly ThreadHome[]> {
    const homes = new Map<string, ThreadHome>();
    const add = (group: string, ...others: string[]): void =>
      void homes.set(group, { group, within: [group, ...others] });
    for (const controller of ["freezer", "cores"] as const) {
      const found = await this.container.directories(controller);
      if (found !== undefined) add(found.container);
    }
    // In version 1 they have trees of their own; what leaves them has the board's limits no more.
    const { of } = await findCgroupTrees();
    for (const controller of ["pids", "devices"] as const) {
      const tree = of(controller);
      if (tree?.version === 1) add(join(tree.home, this.container.path));
    }
    if (this.#cpu?.path !== undefined) add(join(this.#cpu.path, "board"));
    const memory = this.memoryHome;
    // The runtime puts a hook's process into the container's group, which is below.
    if (memory !== undefined) add(memory, join(memory, "board"));
    return [...homes.values()];
  }

  async forget(): Promise<void> {
    await this.container.remove(forgetTries);
  }

  async remove(): Promise<void> {
    await this.container.remove();
  }
}
