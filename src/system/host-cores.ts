/** Which cores this host has, what they are kept for, and which of them a process may use, by the kernel's account. */
import { join } from "node:path";
import { findCgroupTrees } from "./cgroup-trees.ts";
import { coresInStatus, parseCoreList } from "./core-list.ts";
import { readAtOnce } from "./memory-file.ts";

export interface HostCores {
  /** Empty: this host does not tell. */
  readonly present: readonly number[];
  readonly online: readonly number[];
  /** Taken from the scheduler (kernel parameters, `isolcpus`): what runs there stays where it was put. */
  readonly isolated: readonly number[];
  /** Without a timer tick while one thread runs (`nohz_full`). */
  readonly tickless: readonly number[];
  /** Those that the process may ever use: its cpuset's. */
  readonly allowed: readonly number[];
  /** Those that it may use now, by its affinity within its cpuset (sched_setaffinity(2)). It binds no board that has cores of its own. */
  readonly own: readonly number[];
}

const sysCpu = "/sys/devices/system/cpu";

/** Of no core the kernel prints "(null)" or an empty line; a list that cannot be read is empty too: not every kernel has every file. */
function list(sys: string, file: string): readonly number[] {
  return parseCoreList(readAtOnce(join(sys, file)) ?? "") ?? [];
}

/** @param process whose cores are asked for. */
export async function hostCores(
  process: number | "self" = "self",
  sys = sysCpu,
  proc = "/proc",
): Promise<HostCores> {
  const online = list(sys, "online");
  const allowed = (await cpusetOf(process, proc)) ?? online;
  return {
    present: list(sys, "present"),
    online,
    isolated: list(sys, "isolated"),
    tickless: list(sys, "nohz_full"),
    allowed,
    own: affinityOf(process, online, proc) ?? allowed,
  };
}

/** Those that are online. */
export function onlineCores(sys = sysCpu): readonly number[] {
  return list(sys, "online");
}

/**
 * Those that this process is held on, by its cpuset or its affinity, and that are online; `null`: on none, and it may use all, also those
 * that come later. A board that has no cores of its own has these.
 */
export function ownCores(sys = sysCpu, proc = "/proc"): readonly number[] | null {
  const online = onlineCores(sys);
  const own = affinityOf("self", online, proc);
  return own === undefined || own.length === 0 || own.length === online.length ? null : own;
}

/** What is online of it; `undefined` if it cannot be told. Where nothing holds a process, the kernel names more cores than a host can have. */
function affinityOf(
  process: number | "self",
  online: readonly number[],
  proc: string,
): readonly number[] | undefined {
  const cores = coresInStatus(readAtOnce(join(proc, String(process), "status")) ?? "");
  return cores?.filter((core) => online.includes(core));
}

/**
 * Of the process's group: `undefined` where there is no such controller. Version 2: `cpuset.cpus.effective` of the nearest group above it
 * that has the controller.
 */
async function cpusetOf(process: number | "self", proc: string): Promise<readonly number[] | undefined> {
  const tree = (await findCgroupTrees(proc, process)).of("cpuset");
  if (tree?.own === undefined) return undefined;
  const { version, mount, own } = tree;
  const file = version === 1 ? "cpuset.effective_cpus" : "cpuset.cpus.effective";
  for (let at = own; at.startsWith(mount); at = join(at, "..")) {
    const text = readAtOnce(join(at, file));
    if (text !== undefined) return parseCoreList(text);
  }
  return undefined;
}
