/** Which cores this host has, and what they are kept for, by the kernel's account. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
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
export async function hostCores(
  sys = "/sys/devices/system/cpu",
  proc = "/proc",
  cgroup = "/sys/fs/cgroup",
): Promise<HostCores> {
  const present = await list(join(sys, "present"));
  const online = await list(join(sys, "online"));
  return {
    present,
    online,
    isolated: await list(join(sys, "isolated")),
    tickless: await list(join(sys, "nohz_full")),
    allowed: (await ownCpuset(proc, cgroup)) ?? online,
  };
}

/**
 * Of this process's group: `undefined` where there is no such controller. Not its affinity, which may be narrower and binds nobody else.
 * Version 2: `cpuset.cpus.effective` of the nearest group above it that has the controller.
 */
async function ownCpuset(proc: string, cgroup: string): Promise<readonly number[] | undefined> {
  const groups = await readFile(join(proc, "self/cgroup"), "utf8").catch(() => "");
  for (const line of groups.trim().split("\n")) {
    const [, controllers = "-", path = "/"] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    const legacy = controllers.split(",").includes("cpuset");
    if (!legacy && controllers !== "") continue;
    const file = legacy ? "cpuset.effective_cpus" : "cpuset.cpus.effective";
    for (const root of legacy ? [join(cgroup, "cpuset")] : [cgroup, join(cgroup, "unified")]) {
      for (let at = join(root, path); at.startsWith(root); at = join(at, "..")) {
        const text = await readFile(join(at, file), "utf8").catch(() => undefined);
        if (text !== undefined) return parseCoreList(text);
      }
    }
  }
  return undefined;
}
