/**
 * The door to limits on memory: a control group for each board, below the daemon's own in version 1, so that a limit of the daemon's holds
 * for its boards too; in version 2 the board's one group (kernel documentation, admin-guide/cgroup-v1/memory and cgroup-v2).
 */
import { rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { openHome } from "./boards-scope.ts";
import { type CgroupTree, findCgroupTrees, makeGroup, removeGroup, whyUnwritable } from "./cgroup-trees.ts";
import { readAtOnce, writeAtOnce } from "./memory-file.ts";

export type MemoryGroup =
  | { readonly path: string; readonly limitFile: "memory.max" | "memory.limit_in_bytes" }
  /** Why there is none, for people. */
  | { readonly path: undefined; readonly reason: string };

interface Places {
  readonly proc?: string;
  /** Where version 1 has the group: below the daemon's own, as if left out, or at the top of the tree. */
  readonly level?: "own" | "top";
}

/** Makes the group `name` with a limit, or sets the limit of the one that is there. Repeatable. */
export async function makeMemoryGroup(
  name: string,
  limitBytes: number,
  places: Places = {},
): Promise<MemoryGroup> {
  const home = await findHome(places);
  if (home === undefined) return { path: undefined, reason: "no memory controller is mounted" };
  const { tree, directory, limitFile } = home;
  const path = join(directory, name);
  let refusal = "";
  try {
    // What was handed down before may not be ours to hand down again: the limit's file tells.
    if (limitFile === "memory.max")
      await openHome(tree, "memory").catch((error: Error) => (refusal = `: ${error.message}`));
    await makeGroup(path);
    writeAtOnce(join(path, limitFile), String(limitBytes));
    return { path, limitFile };
  } catch (error) {
    await rmdir(path).catch(() => undefined);
    const reason = (await whyUnwritable(tree, tree.mount)) ?? `${(error as Error).message}${refusal}`;
    return { path: undefined, reason };
  }
}

/** Where a group could be made, without making it; or why not. */
export async function lookForMemoryGroups(places: Places = {}): Promise<MemoryGroup> {
  const home = await findHome(places);
  if (home === undefined) return { path: undefined, reason: "no memory controller is mounted" };
  const { tree, directory, limitFile } = home;
  const reason = await whyUnwritable(tree, directory);
  return reason === undefined ? { path: directory, limitFile } : { path: undefined, reason };
}

/** Least of the limits that hold for every group made there, by those above it, in bytes; `undefined` if there is none. */
export async function memoryCeiling(places: Places = {}): Promise<number | undefined> {
  const home = await findHome(places);
  if (home === undefined) return undefined;
  const { tree, limitFile } = home;
  let least: number | undefined;
  for (let { directory } = home; directory.startsWith(tree.mount); directory = dirname(directory)) {
    // Without a limit version 2 says `max`, and version 1 a number that is more than any host has.
    const limit = Number(readAtOnce(join(directory, limitFile)) ?? "max");
    if (limit < (least ?? Number.MAX_SAFE_INTEGER)) least = limit;
  }
  return least;
}

/** Removes the group, which must be empty. Repeatable. */
export async function removeMemoryGroup(name: string, places: Places = {}): Promise<void> {
  const home = await findHome(places);
  if (home === undefined) return;
  await removeGroup(join(home.directory, name));
}

/** How often the kernel has killed a process of the group for want of memory since the group was made. */
export async function memoryKills(group: MemoryGroup): Promise<number> {
  if (group.path === undefined) return 0;
  const file = group.limitFile === "memory.max" ? "memory.events" : "memory.oom_control";
  const text = readAtOnce(join(group.path, file)) ?? "";
  return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0);
}

/** Bytes that the group is charged with now, pages of files that it has read included; `undefined` if nobody counts. */
export async function memoryUsed(group: MemoryGroup): Promise<number | undefined> {
  if (group.path === undefined) return undefined;
  const file = group.limitFile === "memory.max" ? "memory.current" : "memory.usage_in_bytes";
  const text = readAtOnce(join(group.path, file));
  return text === undefined ? undefined : Number(text);
}

interface Home {
  readonly tree: CgroupTree;
  readonly directory: string;
  readonly limitFile: "memory.max" | "memory.limit_in_bytes";
}

async function findHome({ proc, level = "own" }: Places): Promise<Home | undefined> {
  const tree = (await findCgroupTrees(proc)).of("memory");
  if (tree === undefined) return undefined;
  if (tree.version === 2) return { tree, directory: tree.home, limitFile: "memory.max" };
  const directory = level === "top" ? tree.mount : (tree.own ?? tree.mount);
  return { tree, directory, limitFile: "memory.limit_in_bytes" };
}
