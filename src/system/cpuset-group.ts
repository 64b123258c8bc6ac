/**
 * The door to cpusets: a control group that no thread of a board can leave by its own affinity, below the daemon's own in version 1 and the
 * board's one group in version 2 (cpuset(7); kernel documentation, admin-guide/cgroup-v2).
 */
import { access, readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openHome } from "./boards-scope.ts";
import { type CgroupTree, findCgroupTrees, makeGroup } from "./cgroup-trees.ts";
import { coreListText } from "./core-list.ts";

interface Home {
  readonly directory: string;
  readonly tree: CgroupTree;
}

/**
 * Makes the group `name` with these cores, or gives them to the one that is there; `null`: all that there are. Returns its directory, or
 * `undefined` where there is none to be had: affinity alone holds then. Repeatable.
 */
export async function makeCpuset(
  name: string,
  cores: readonly number[] | null,
  proc?: string,
): Promise<string | undefined> {
  const home = await findHome(proc);
  if (home === undefined) return undefined;
  const { tree, directory } = home;
  const { version } = tree;
  const path = join(directory, name);
  try {
    if (version === 2) {
      await openHome(tree, "cpuset");
      await makeGroup(path);
      // Empty: those of the group above, also those that come later.
      await writeFile(join(path, "cpuset.cpus"), cores === null ? "\n" : coreListText(cores));
      return path;
    }
    // Cores that come later would not be in it: whoever may use all needs no group, unless there is one.
    if (cores === null && !(await isThere(path))) return undefined;
    await makeGroup(path);
    const above = async (file: string): Promise<string> => await readFile(join(directory, file), "utf8");
    // Nothing is inherited here, and without both no process can join.
    await writeFile(join(path, "cpuset.mems"), await above("cpuset.effective_mems"));
    const all = cores === null ? await above("cpuset.effective_cpus") : coreListText(cores);
    await writeFile(join(path, "cpuset.cpus"), all);
    return path;
  } catch {
    await rmdir(path).catch(() => undefined);
    return undefined;
  }
}

/** Removes the group, which must be empty. Repeatable. */
export async function removeCpuset(name: string, proc?: string): Promise<void> {
  const home = await findHome(proc);
  if (home === undefined) return;
  await rmdir(join(home.directory, name)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
}

async function isThere(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

async function findHome(proc?: string): Promise<Home | undefined> {
  const tree = (await findCgroupTrees(proc)).of("cpuset");
  if (tree === undefined) return undefined;
  const directory = tree.version === 2 ? tree.home : tree.own;
  return directory === undefined ? undefined : { tree, directory };
}
