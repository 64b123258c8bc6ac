/** Which cores this host has, and what they are kept for, by the kernel's account. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { findCgroupTrees } from "./cgroup-trees.ts";
import { parseCoreList } from "./core-list.ts";

export interface HostCores {
  /** Empty: this host does not tell. */
  readonly present: readonly number[];
  readonly online: readonly number[];
  /** Taken from the scheduler (kernel parameters, `isolcpus`): what runs there stays where it was put. */
  readonly isolated: readonly number[];
  /** Without a timer tick while one thread runs (`nohz_full`). */
  readonly tickless: readonly number[];
  /** Those that this process may ever use: its cpuset's. */
  readonly allowed: readonly number[];
}

/** Where no core is so, the kernel prints "(null)" or an empty line. */
async function list(path: string): Promise<readonly number[]> {
  return parseCoreList(await readFile(path, "utf8").catch(() => "")) ?? [];
}

/** A list that cannot be read is empty: not every kernel has every file. */
export async function hostCores(sys = "/sys/devices/system/cpu", proc?: string): Promise<HostCores> {
  const present = await list(join(sys, "present"));
  const online = await list(join(sys, "online"));
  return {
    present,
    online,
    isolated: await list(join(sys, "isolated")),
    tickless: await list(join(sys, "nohz_full")),
    allowed: (await ownCpuset(proc)) ?? online,
  };
}

/**
 * Of this process's group: `undefined` where there is no such controller. Not its affinity, which may be narrower and binds nobody else.
 * Version 2: `cpuset.cpus.effective` of the nearest group above it that has the controller.
 */
async function ownCpuset(proc?: string): Promise<readonly number[] | undefined> {
  const tree = (await findCgroupTrees(proc)).of("cpuset");
  if (tree?.own === undefined) return undefined;
  const { version, mount, own } = tree;
  const file = version === 1 ? "cpuset.effective_cpus" : "cpuset.cpus.effective";
  for (let at = own; at.startsWith(mount); at = join(at, "..")) {
    const text = await readFile(join(at, file), "utf8").catch(() => undefined);
    if (text !== undefined) return parseCoreList(text);
  }
  return undefined;
}
