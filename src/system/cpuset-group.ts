/**
 * The door to cpusets: a control group that no thread of a board can leave by its own affinity, below the daemon's own in version 1 and the
 * board's one group in version 2 (cpuset(7); kernel documentation, admin-guide/cgroup-v2).
 */
import { rmdir } from "node:fs/promises";
import { join } from "node:path";
import { openHome } from "./boards-scope.ts";
import { type CgroupTree, findCgroupTrees, makeGroup, removeGroup, whyUnwritable } from "./cgroup-trees.ts";
import { coreListText, parseCoreList } from "./core-list.ts";
import { hostCores } from "./host-cores.ts";
import { readAtOnce, writeAtOnce } from "./memory-file.ts";

export type CpusetGroup =
  | { readonly path: string }
  /** Why there is none, for people; `null`: none is needed. */
  | { readonly path: undefined; readonly reason: string | null };

interface Home {
  readonly tree: CgroupTree;
  readonly directory: string;
}

/**
 * Makes the group `name` with these cores, or gives them to the one that is there; `null`: all that there are. Where there is none to be
 * had, affinity alone holds. Repeatable.
 */
export async function makeCpuset(
  name: string,
  cores: readonly number[] | null,
  proc?: string,
): Promise<CpusetGroup> {
  const home = await findHome(proc);
  if (typeof home === "string") return await withoutGroup(cores, home, proc);
  const { directory, tree } = home;
  const path = join(directory, name);
  try {
    if (tree.version === 2) {
      await openHome(tree, "cpuset");
      await makeGroup(path);
    } else {
      // Cores that come later would not be in it: whoever may use all needs no group, unless there is one.
      if (cores === null && !isThere(path)) return { path: undefined, reason: null };
      await makeGroup(path);
      // Nothing is inherited here, and without both no process can join.
      writeAtOnce(join(path, "cpuset.mems"), readAtOnce(join(directory, "cpuset.effective_mems")) ?? "");
    }
    setCores(path, cores);
    return { path };
  } catch (error) {
    await rmdir(path).catch(() => undefined);
    const reason = (await whyUnwritable(tree, directory)) ?? (error as Error).message;
    return await withoutGroup(cores, reason, proc);
  }
}

/** Whoever may use all of this process's own cpuset is held by that. */
async function withoutGroup(
  cores: readonly number[] | null,
  reason: string,
  proc?: string,
): Promise<CpusetGroup> {
  const { allowed } = await hostCores("self", undefined, proc);
  const isHeld = cores === null || allowed.every((core) => cores.includes(core));
  return { path: undefined, reason: isHeld ? null : reason };
}

/** Why no such group can be made here, as far as that is seen without making one; `undefined` if nothing speaks against it. */
export async function whyNoCpusets(proc?: string): Promise<string | undefined> {
  const home = await findHome(proc);
  return typeof home === "string" ? home : await whyUnwritable(home.tree, home.directory);
}

/** Removes the group, which must be empty. Repeatable. */
export async function removeCpuset(name: string, proc?: string): Promise<void> {
  const home = await findHome(proc);
  if (typeof home === "string") return;
  await removeGroup(join(home.directory, name));
}

/**
 * Gives a group these cores, if it is there and has others; `null`: all of the group above. What the kernel refuses changes nothing. Repeatable,
 * and cheap when nothing differs.
 */
export function keepCores(path: string, cores: readonly number[] | null): void {
  try {
    setCores(path, cores);
  } catch {
    // It has what it had.
  }
}

/**
 * Version 1 takes a core that goes offline out of every group for good, and refuses one that the group above has not: there it is given those
 * that there are. Errors: those of the file system; there are none of them.
 */
function setCores(path: string, cores: readonly number[] | null): void {
  const file = join(path, "cpuset.cpus");
  const above = readAtOnce(join(path, "..", "cpuset.effective_cpus"));
  const there = above === undefined ? undefined : (parseCoreList(above) ?? []);
  // Version 2 keeps what is written, whatever there is of it. Empty: those of the group above, also those that come later.
  const wanted = there === undefined ? (cores ?? []) : there.filter((core) => cores?.includes(core) ?? true);
  if (cores !== null && wanted.length === 0)
    throw new Error(`none of the cores ${coreListText(cores)} is in the group above ${path}`);
  const text = coreListText(wanted);
  if (readAtOnce(file)?.trim() !== text) writeAtOnce(file, text === "" ? "\n" : text);
}

function isThere(path: string): boolean {
  return readAtOnce(join(path, "cpuset.cpus")) !== undefined;
}

/** Or why there is none. */
async function findHome(proc?: string): Promise<Home | string> {
  const tree = (await findCgroupTrees(proc)).of("cpuset");
  if (tree === undefined) return "no cpuset controller is mounted";
  const { version, mount, home, own } = tree;
  if (version === 2) return { tree, directory: home };
  return own === undefined
    ? `the daemon's own group is outside of ${mount}, so that none can be made below it`
    : { tree, directory: own };
}
