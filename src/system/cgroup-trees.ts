/**
 * The one door to where control groups are: which tree has a controller, where that is mounted, and a process's own group in it. Read from
 * the kernel each time (proc(5), /proc/PID/mountinfo; cgroups(7), /proc/PID/cgroup; kernel documentation, admin-guide/cgroup-v2).
 */
import { access, constants, mkdir, readFile, rmdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { TwinboardError } from "../errors.ts";

/** `cpuacct` counts processor time and `freezer` freezes: in version 2 every group does both, whatever controllers there are. */
export type Controller = "cpu" | "cpuacct" | "cpuset" | "devices" | "freezer" | "memory" | "pids";

export interface CgroupTree {
  readonly version: 1 | 2;
  /** Directory where it is mounted: the top of it, as far as this process is let see. */
  readonly mount: string;
  /** Directory that boards' groups are made in: `mount`, or, where systemd owns the tree, that of the scope which it hands over to us. */
  readonly home: string;
  /** Directory of the process's own group; `undefined` if it lies outside of what is mounted. */
  readonly own: string | undefined;
  /** Mounted so that nothing can be changed. */
  readonly readOnly: boolean;
}

export interface CgroupTrees {
  readonly of: (controller: Controller) => CgroupTree | undefined;
  /** All trees, also those that have none of the controllers. */
  readonly all: readonly CgroupTree[];
  /** The tree of version 2, if it is the only one. */
  readonly unified: CgroupTree | undefined;
}

interface Mount {
  /** What of the tree is mounted: `/`, or a group of it. */
  readonly root: string;
  readonly point: string;
  readonly version: 1 | 2;
  readonly readOnly: boolean;
  /** Names of a version 1 tree's controllers, among other options. */
  readonly options: readonly string[];
}

/** Of all systems of a host. */
const boardsScope = "system.slice/twinboard-boards.scope";
const inEveryGroup: readonly Controller[] = ["cpuacct", "freezer"];

/**
 * The trees that are mounted. A controller that is in a tree of version 1 is in no other.
 * @param proc where process information is found.
 * @param process whose groups are its own.
 */
export async function findCgroupTrees(
  proc = "/proc",
  process: number | "self" = "self",
): Promise<CgroupTrees> {
  const mounts = cgroupMounts(await readFile(join(proc, "self/mountinfo"), "utf8").catch(() => ""));
  const groups = ownGroups(await readFile(join(proc, String(process), "cgroup"), "utf8").catch(() => ""));
  const found = new Map<string, CgroupTree>();
  const all: CgroupTree[] = [];
  for (const mount of mounts.filter(({ version }) => version === 1)) {
    const name = mount.options.find((option) => groups.has(option));
    const tree = await treeOf(mount, name === undefined ? undefined : groups.get(name));
    all.push(tree);
    for (const option of mount.options) if (!found.has(option)) found.set(option, tree);
  }
  const second = mounts.find(({ version }) => version === 2);
  const isAlone = mounts.length === 1;
  const tree = second === undefined ? undefined : await treeOf(second, groups.get(""), isAlone);
  if (tree !== undefined) {
    all.push(tree);
    const listed = await readFile(join(tree.mount, "cgroup.controllers"), "utf8").catch(() => "");
    for (const name of [...inEveryGroup, ...listed.split(/\s+/)]) if (!found.has(name)) found.set(name, tree);
  }
  return { of: (controller) => found.get(controller), all, unified: isAlone ? tree : undefined };
}

async function treeOf(mount: Mount, path: string | undefined, isAlone = false): Promise<CgroupTree> {
  const { version, point, readOnly } = mount;
  const own = path === undefined ? undefined : below(mount, path);
  const isSeen = own !== undefined && (await isThere(own));
  // systemd itself is in this group, and in none of a container that has but a part of the tree.
  const isSystemds = version === 2 && isAlone && (await isThere(join(point, "init.scope")));
  const home = isSystemds ? join(point, boardsScope) : point;
  return { version, mount: point, home, own: isSeen ? own : undefined, readOnly };
}

/** Whether somebody else owns the tree, and hands over a part of it. */
export function isDelegated({ mount, home }: CgroupTree): boolean {
  return home !== mount;
}

/** Makes a group, and none above it: those are somebody else's to make. Repeatable. Errors: those of the file system. */
export async function makeGroup(path: string): Promise<void> {
  await mkdir(path).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST" || !(await stat(path)).isDirectory()) throw error;
  });
}

/** Why no group can be made in this directory of a tree; `undefined` if nothing speaks against it. Changes nothing. */
export async function whyUnwritable(tree: CgroupTree, directory: string): Promise<string | undefined> {
  if (tree.readOnly) return `${directory} is mounted read-only`;
  // The scope is made with the first board.
  const isToCome = isDelegated(tree) && directory === tree.home && !(await isThere(directory));
  const asked = isToCome ? tree.mount : directory;
  return await access(asked, constants.W_OK).then(
    () => undefined,
    () => `${asked} cannot be written to by this process: it is somebody else's`,
  );
}

/** A write to a group's file that was refused, as the error of a caller: `cgroup-unwritable`. */
export function unwritable(group: string, cause: NodeJS.ErrnoException): TwinboardError {
  const detail = cause.code === "EROFS" ? `${group} is mounted read-only` : cause.message;
  return new TwinboardError("cgroup-unwritable", { detail, cause });
}

/** Removes a group, which must be empty, by its directory. Repeatable, also in a tree that nothing can be changed in if it is not there. */
export async function removeGroup(directory: string): Promise<void> {
  await rmdir(directory).catch(async (error: Error) => {
    if (await isThere(directory)) throw error;
  });
}

/** A tree that is mounted over another counts, not the one that it hides. */
function cgroupMounts(text: string): Mount[] {
  const mounts = new Map<string, Mount & { readonly device: string }>();
  for (const line of text.split("\n")) {
    const [before = "", after = ""] = line.split(" - ", 2);
    const [, , device = "", root = "", point = "", flags = ""] = before.split(" ");
    const [type, , options = ""] = after.split(" ");
    if (point === "") continue;
    const place = unescaped(point);
    // Whatever lies over a tree hides it, and those below it.
    for (const other of mounts.keys()) if (other.startsWith(`${place}/`)) mounts.delete(other);
    if (type !== "cgroup" && type !== "cgroup2") {
      mounts.delete(place);
      continue;
    }
    // One over another of its kind keeps its place in their order.
    mounts.set(place, {
      device,
      root: unescaped(root),
      point: place,
      version: type === "cgroup2" ? 2 : 1,
      readOnly: [...flags.split(","), ...options.split(",")].includes("ro"),
      options: options.split(","),
    });
  }
  // The same tree may be mounted at another place too, as in a system below a directory (chroot(1)): the first is meant.
  const all = [...mounts.values()];
  return all.filter(({ device }, index) => all.findIndex((other) => other.device === device) === index);
}

/** Path by controller; version 2's by the empty name. */
function ownGroups(text: string): Map<string, string> {
  const groups = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    for (const name of controllers.split(",")) groups.set(name, path);
  }
  return groups;
}

/** Directory of a group of a tree; `undefined` if that is not below what is mounted (cgroup_namespaces(7): `/..`). */
function below({ root, point }: Mount, path: string): string | undefined {
  if (path.split("/").includes("..")) return undefined;
  if (root === "/") return join(point, path);
  return path === root || path.startsWith(`${root}/`) ? join(point, path.slice(root.length)) : undefined;
}

/** mountinfo writes a blank as `\040`. */
function unescaped(path: string): string {
  return path.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCodePoint(Number.parseInt(digits, 8)),
  );
}

async function isThere(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
