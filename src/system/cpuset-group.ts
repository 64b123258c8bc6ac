/**
 * The door to cpusets: a control group that no thread of a board can leave by its own affinity, below the daemon's own in version 1 and the
 * board's one group in version 2 (cpuset(7); kernel documentation, admin-guide/cgroup-v2).
 */
import { access, readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openHome } from "./boards-scope.ts";
import { type CgroupTree, findCgroupTrees, makeGroup, removeGroup, whyUnwritable } from "./cgroup-trees.ts";
import { coreListText } from "./core-list.ts";

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
  if (typeof home === "string") return { path: undefined, reason: cores === null ? null : home };
  const { directory, tree } = home;
  const path = join(directory, name);
  try {
    if (tree.version === 2) {
      await openHome(tree, "cpuset");
      await makeGroup(path);
      // Empty: those of the group above, also those that come later.
      await writeFile(join(path, "cpuset.cpus"), cores === null ? "\n" : coreListText(cores));
      return { path };
    }
    // Cores that come later would not be in it: whoever may use all needs no group, unless there is one.
    if (cores === null && !(await isThere(path))) return { path: undefined, reason: null };
    await makeGroup(path);
    const above = async (file: string): Promise<string> => await readFile(join(directory, file), "utf8");
    // Nothing is inherited here, and without both no process can join.
    await writeFile(join(path, "cpuset.mems"), await above("cpuset.effective_mems"));
    const all = cores === null ? await above("cpuset.effective_cpus") : coreListText(cores);
    await writeFile(join(path, "cpuset.cpus"), all);
    return { path };
  } catch (error) {
    await rmdir(path).catch(() => undefined);
    const reason = (await whyUnwritable(tree, directory)) ?? (error as Error).message;
    return { path: undefined, reason: cores === null ? null : reason };
  }
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

async function isThere(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
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
