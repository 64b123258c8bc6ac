/**
 * The door to limits on memory: a control group for each board, below the daemon's own in version 1, so that a limit of the daemon's holds
 * for its boards too; in version 2 the board's one group (kernel documentation, admin-guide/cgroup-v1/memory and cgroup-v2).
 */
import { access, constants, mkdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

export type MemoryGroup =
  | { readonly path: string; readonly limitFile: "memory.max" | "memory.limit_in_bytes" }
  /** Why there is none, for people. */
  | { readonly path: undefined; readonly reason: string };

interface Places {
  readonly root?: string;
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
  const { directory, limitFile } = home;
  const path = join(directory, name);
  try {
    if (limitFile === "memory.max")
      await writeFile(join(directory, "cgroup.subtree_control"), "+memory").catch(() => undefined);
    await mkdir(path, { recursive: true });
    await writeFile(join(path, limitFile), String(limitBytes));
    return { path, limitFile };
  } catch (error) {
    await rmdir(path).catch(() => undefined);
    return { path: undefined, reason: (error as Error).message };
  }
}

/** Where a group could be made, without making it; or why not. */
export async function lookForMemoryGroups(places: Places = {}): Promise<MemoryGroup> {
  const home = await findHome(places);
  if (home === undefined) return { path: undefined, reason: "no memory controller is mounted" };
  const { directory, limitFile } = home;
  return await access(directory, constants.W_OK).then(
    () => ({ path: directory, limitFile }),
    () => ({ path: undefined, reason: `${directory} cannot be written to` }),
  );
}

/** Removes the group, which must be empty. Repeatable. */
export async function removeMemoryGroup(name: string, places: Places = {}): Promise<void> {
  const home = await findHome(places);
  if (home === undefined) return;
  await rmdir(join(home.directory, name)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
}

/** How often the kernel has killed a process of the group for want of memory since the group was made. */
export async function memoryKills(group: MemoryGroup): Promise<number> {
  if (group.path === undefined) return 0;
  const file = group.limitFile === "memory.max" ? "memory.events" : "memory.oom_control";
  const text = await readFile(join(group.path, file), "utf8").catch(() => "");
  return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0);
}

async function findHome({
  root = "/sys/fs/cgroup",
  proc = "/proc",
  level = "own",
}: Places): Promise<{ directory: string; limitFile: "memory.max" | "memory.limit_in_bytes" } | undefined> {
  for (const unified of [root, join(root, "unified")]) {
    const controllers = await readFile(join(unified, "cgroup.controllers"), "utf8").catch(() => "");
    if (controllers.split(/\s/).includes("memory")) return { directory: unified, limitFile: "memory.max" };
  }
  const groups = await readFile(join(proc, "self/cgroup"), "utf8").catch(() => "");
  for (const line of groups.split("\n")) {
    const [, controllers = "", own = "/"] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (!controllers.split(",").includes("memory")) continue;
    const top = join(root, "memory");
    for (const directory of level === "top" ? [top] : [join(top, own), top]) {
      // A group that lies outside this namespace is not below the mount.
      const seen = await readFile(join(directory, "memory.limit_in_bytes"), "utf8").catch(() => undefined);
      if (seen !== undefined) return { directory, limitFile: "memory.limit_in_bytes" };
    }
  }
  return undefined;
}
