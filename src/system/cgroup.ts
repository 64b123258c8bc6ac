/**
 * The door to processor shares: a control group for each board, so that a booting board's whole group can be of the idle class
 * (kernel documentation, admin-guide/cgroup-v2, `cpu.idle`). Version 2 is the normal case; a hybrid tree has `cpu` in version 1.
 */
import { access, readdir, rmdir } from "node:fs/promises";
import { release } from "node:os";
import { join } from "node:path";
import { openHome } from "./boards-scope.ts";
import {
  type CgroupTree,
  findCgroupTrees,
  isDelegated,
  makeGroup,
  removeGroup,
  unwritable,
  whyUnwritable,
} from "./cgroup-trees.ts";
import { processStartTicks } from "./host.ts";
import { readAtOnce, writeAtOnce } from "./memory-file.ts";

/** How a board is kept out of the other's way, best first; `none`: this host offers no way, and both get equal shares. */
export type PriorityWay = "cpu.idle" | "cpu.weight" | "cpu.shares" | "none";

export interface CpuGroup {
  readonly way: PriorityWay;
  /** Why there is no better way, for people; empty where there is `cpu.idle`. */
  readonly reason: string;
  /** The group's directory; `undefined` where the way is `none`. */
  readonly path: string | undefined;
}

const noController = "no cpu controller is mounted";
const noIdle = "this kernel has no cpu.idle (Linux 5.15)";

/** The two files that give shares where `cpu.idle` is missing: [background, service] (default weights of the kernel). */
const shares = { "cpu.weight": ["1", "100"], "cpu.shares": ["2", "1024"] } as const;

/**
 * Makes the group `name`, beside the host's own top-level groups: the idle class counts only against siblings, and a background
 * board is to yield to everything. Where systemd owns the tree it is beside the other board's alone. Repeatable.
 */
export async function makeCpuGroup(name: string, proc?: string): Promise<CpuGroup> {
  const tree = await cpuTree(proc);
  if (tree === undefined) return none(noController);
  const path = join(tree.home, name);
  let refusal = "";
  try {
    await openHome(tree, "cpu").catch((error: Error) => (refusal = `: ${error.message}`));
    await makeGroup(path);
  } catch (error) {
    return none((await whyUnwritable(tree, tree.mount)) ?? `${path}${refusal}: ${(error as Error).message}`);
  }
  for (const way of ["cpu.idle", "cpu.weight", "cpu.shares"] as const) {
    if (await isThere(join(path, way))) return { way, path, reason: way === "cpu.idle" ? "" : noIdle };
  }
  await rmdir(path).catch(() => undefined);
  return none(`${path} has no file for processor shares${refusal}`);
}

/**
 * Gives the group's processes the idle class or the smallest share, or full weight. Repeatable; nothing where the way is `none`.
 * Errors: `cgroup-unwritable`, also of a tree that could be written to when the group was made.
 */
export async function setCpuPriority(group: CpuGroup, priority: "background" | "service"): Promise<void> {
  const { way, path } = group;
  if (way === "none" || path === undefined) return;
  if (priority === "service") return await setCpuShare(group, 100);
  set(path, way, way === "cpu.idle" ? "1" : shares[way][0]);
}

/** Takes the group's processes out of the idle class and gives them so many percent of a full weight, 1 to 200. Repeatable. Errors: `cgroup-unwritable`. */
export async function setCpuShare({ way, path }: CpuGroup, percent: number): Promise<void> {
  if (way === "none" || path === undefined) return;
  // Without the idle class the weight is the normal one; one that was set before stays if the class is what it was.
  if (way === "cpu.idle") set(path, way, "0");
  const weights = (await isThere(join(path, "cpu.weight"))) ? "cpu.weight" : "cpu.shares";
  // A tree may have the class and no weights.
  if (!(await isThere(join(path, weights)))) return;
  set(path, weights, String(Math.round((Number(shares[weights][1]) * percent) / 100)));
}

function set(path: string, file: string, text: string): void {
  try {
    writeAtOnce(join(path, file), text);
  } catch (cause) {
    throw unwritable(path, cause as NodeJS.ErrnoException);
  }
}

/** Percent of a full weight that the group has now, by the kernel's account; 0 of the idle class, `undefined` without a group. */
export async function cpuShare({ path }: CpuGroup): Promise<number | undefined> {
  if (path === undefined) return undefined;
  const value = (file: string): number | undefined => {
    const text = readAtOnce(join(path, file));
    return text === undefined ? undefined : Number(text);
  };
  if (value("cpu.idle") === 1) return 0;
  for (const weights of ["cpu.weight", "cpu.shares"] as const) {
    const weight = value(weights);
    if (weight !== undefined) return Math.round((100 * weight) / Number(shares[weights][1]));
  }
  return undefined;
}

/**
 * Threads of these processes that are in none of these groups, whose directories are given: the process of each. None of a process that is
 * gone, and none where there are no such groups.
 */
export async function threadsOutside(paths: readonly string[], pids: readonly number[]): Promise<number[]> {
  // First the threads and then the groups: one that begins in between is missed, and not taken for one that has left.
  const threads: [pid: number, thread: string][] = [];
  for (const pid of pids)
    for (const thread of await readdir(`/proc/${pid}/task`).catch(() => [])) threads.push([pid, thread]);
  const members = paths.map(threadsIn).filter((group) => group !== undefined);
  if (members.length === 0) return [];
  const inside = new Set(members.flat());
  const outside: number[] = [];
  // One that has ended meanwhile is in none.
  for (const [pid, thread] of threads)
    if (!inside.has(thread) && (await processStartTicks(Number(thread))) !== undefined) outside.push(pid);
  return outside;
}

function threadsIn(path: string): string[] | undefined {
  for (const file of ["tasks", "cgroup.threads"]) {
    const text = readAtOnce(join(path, file));
    if (text !== undefined) return text.split("\n");
  }
  return undefined;
}

/** Puts a process with all its threads into the group. Repeatable. */
export async function joinGroup(path: string, pid: number): Promise<void> {
  writeAtOnce(join(path, "cgroup.procs"), String(pid));
}

/** Removes the group, which must be empty. Repeatable. */
export async function removeCpuGroup(name: string, proc?: string): Promise<void> {
  const tree = await cpuTree(proc);
  if (tree === undefined) return;
  await removeGroup(join(tree.home, name));
}

/** By what means boards could be given shares here, as far as that is seen without making a group. */
export async function lookForCpuGroups(proc?: string): Promise<{
  readonly way: PriorityWay;
  readonly reason: string;
  readonly tree: string;
  /** systemd owns the tree: boards' groups are beside each other alone. */
  readonly delegated: boolean;
}> {
  const tree = await cpuTree(proc);
  if (tree === undefined) return { way: "none", reason: noController, tree: "none", delegated: false };
  const { version, mount } = tree;
  const delegated = isDelegated(tree);
  const told = { tree: `version ${version}${delegated ? ", systemd's" : ""}`, delegated };
  const unwritable = process.geteuid?.() === 0 ? await whyUnwritable(tree, mount) : undefined;
  if (unwritable !== undefined) return { way: "none", reason: unwritable, ...told };
  const groups = (await readdir(mount, { withFileTypes: true })).filter((entry) => entry.isDirectory());
  const shown = async (file: string): Promise<boolean> => {
    for (const { name } of groups) if (await isThere(join(mount, name, file))) return true;
    return await isThere(join(mount, file));
  };
  if (await shown("cpu.idle")) return { way: "cpu.idle", reason: "", ...told };
  const way = version === 2 ? "cpu.weight" : "cpu.shares";
  // Where no group shows its files, the kernel's age tells.
  if (!(await shown(way)) && isAtLeast(release(), [5, 15])) return { way: "cpu.idle", reason: "", ...told };
  return { way, reason: noIdle, ...told };
}

function isAtLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [first = 0, second = 0] = version.split(".").map(Number);
  return first > major || (first === major && second >= minor);
}

/** Where groups with processor shares are made: in version 2, top-level groups have the controller once it is handed down to them. */
async function cpuTree(proc?: string): Promise<CgroupTree | undefined> {
  return (await findCgroupTrees(proc)).of("cpu");
}

async function isThere(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

function none(reason: string): CpuGroup {
  return { way: "none", reason, path: undefined };
}
