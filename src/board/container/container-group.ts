/**
 * A board's control group: who is in it, its processor time, and the freezer. Version 2 has one directory for all of that; in version 1
 * each controller has a tree of its own (kernel documentation, admin-guide/cgroup-v2 and cgroup-v1). Read from the kernel each time.
 */
import { mkdir, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { TwinboardError } from "../../errors.ts";
import { type CgroupTree, findCgroupTrees, unwritable } from "../../system/cgroup-trees.ts";
import { keepCores } from "../../system/cpuset-group.ts";
import { directoriesIn, readAtOnce, writeAtOnce } from "../../system/memory-file.ts";

export interface Hierarchies {
  /** Where processes can be frozen. */
  readonly freezer: CgroupTree | undefined;
  /** Where processor time is counted. */
  readonly time: CgroupTree | undefined;
  /** Where cores are given. */
  readonly cores: CgroupTree | undefined;
  /** Directories that boards' groups are made in, of all trees. */
  readonly roots: readonly string[];
  /** The tree of version 2, if it is the only one. */
  readonly unified: CgroupTree | undefined;
}

const pollMs = 2;
const freezeTimeoutMs = 5000;
const killTimeoutMs = 10_000;
const helperTimeoutMs = 2000;
/** Beside the container's and its helpers': nobody is in it, and it is always frozen. */
const frozenPart = "frozen";
/** Helpers that were killed end when they get a turn, which on a busy host is not at once. */
const removeTries = 500;

export async function findHierarchies(): Promise<Hierarchies> {
  const { of, all, unified } = await findCgroupTrees();
  const roots = all.map(({ home }) => home);
  return { freezer: of("freezer"), time: of("cpuacct"), cores: of("cpuset"), roots, unified };
}

export class ContainerGroup {
  readonly #name: string;
  #hierarchies: Promise<Hierarchies> | undefined;

  /** @param name of the board's directory in each tree; the container has `board` in it, its helpers `host`. */
  constructor(name: string) {
    this.#name = name;
  }

  /** Of the container, below the directory that boards' groups are made in. */
  get path(): string {
    return `/${this.#name}/board`;
  }

  /**
   * Of the board, where version 2 is all that there is: what runs the runtime is put there first, in a namespace of control groups that has it
   * for its top (cgroup_namespaces(7)). A runtime hands controllers down from the top that it sees; what lies above is none of the board's.
   */
  async top(): Promise<string | undefined> {
    const { unified } = await this.#trees();
    return unified === undefined ? undefined : join(unified.home, this.#name);
  }

  /** As the runtime takes it. */
  async pathForRuntime(): Promise<string> {
    return (await this.top()) === undefined ? this.path : "/board";
  }

  /** Of the board, and of the container below it, in the tree of a controller; `undefined` if there is none. */
  async directories(
    controller: "freezer" | "time" | "cores",
  ): Promise<{ readonly board: string; readonly container: string } | undefined> {
    const tree = (await this.#trees())[controller];
    return tree === undefined
      ? undefined
      : { board: join(tree.home, this.#name), container: join(tree.home, this.path) };
  }

  /** Whether a process is in it, by the kernel's account (proc(5), /proc/PID/cgroup). */
  async holds(pid: number): Promise<boolean> {
    const text = readAtOnce(`/proc/${pid}/cgroup`) ?? "";
    return text.split("\n").some((line) => `${line}/`.includes(`${this.path}/`));
  }

  /** Ids of all processes in it, in this process's numbers. */
  async processes(): Promise<number[]> {
    const { freezer } = await this.#trees();
    return freezer === undefined ? [] : processesIn(join(freezer.home, this.path));
  }

  /** Nanoseconds since the board started; `undefined` if there is no group. */
  async processorTime(): Promise<number | undefined> {
    return await this.#timeOf((await this.directories("time"))?.container);
  }

  /** The same with its helpers, since the group was made, and the ids of all of them. `undefined` if there is no group. */
  async load(): Promise<{ readonly cpuNs: number; readonly pids: readonly number[] } | undefined> {
    const directory = (await this.directories("time"))?.board;
    const cpuNs = await this.#timeOf(directory);
    return cpuNs === undefined || directory === undefined
      ? undefined
      : { cpuNs, pids: processesIn(directory) };
  }

  /** Whether its cores can be set, by the runtime or by `setCores`. */
  async hasCores(): Promise<boolean> {
    return (await this.#trees()).cores !== undefined;
  }

  /**
   * `null`: all. Of a container that is there; nothing changes where there is none, or no such controller, nor by what the kernel refuses.
   * Repeatable.
   */
  async setCores(cores: readonly number[] | null): Promise<void> {
    const tree = (await this.#trees()).cores;
    if (tree === undefined) return;
    const { home, version } = tree;
    // There the group above has what it was made with, too, and the container's none more.
    if (version === 1) keepCores(join(home, this.#name), null);
    keepCores(join(home, this.path), cores);
  }

  async #timeOf(directory: string | undefined): Promise<number | undefined> {
    if (directory === undefined) return undefined;
    if ((await this.#trees()).time?.version === 1) {
      const text = readAtOnce(join(directory, "cpuacct.usage"));
      return text === undefined ? undefined : Number(text);
    }
    const text = readAtOnce(join(directory, "cpu.stat")) ?? "";
    const us = /^usage_usec (\d+)$/m.exec(text)?.[1];
    return us === undefined ? undefined : Number(us) * 1000;
  }

  async isFrozen(): Promise<boolean> {
    const { freezer } = await this.#trees();
    if (freezer === undefined) return false;
    const directory = join(freezer.home, this.path);
    if (freezer.version === 1) return readAtOnce(join(directory, "freezer.state"))?.trim() === "FROZEN";
    return /^frozen 1$/m.test(readAtOnce(join(directory, "cgroup.events")) ?? "");
  }

  /**
   * Version 1: keeps an empty group frozen until `remove`. The kernel turns a switch in its own code when the first group of a host freezes
   * and when the last one thaws (`freezer_active`, kernel/cgroup/legacy_freezer.c), and that holds up every processor for milliseconds. Without
   * it a board wakes all the same, later. Repeatable.
   */
  async #keepFreezerOn(): Promise<void> {
    const { freezer } = await this.#trees();
    if (freezer?.version !== 1) return;
    const path = join(freezer.home, this.#name, frozenPart);
    await mkdir(path).catch(() => undefined);
    tryWrite(join(path, "freezer.state"), "FROZEN");
  }

  /** Repeatable. Errors: `missing-kernel-feature`, `cgroup-unwritable`, `deadline-passed` (a process does not leave the kernel); then it runs as before. */
  async freeze(signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + freezeTimeoutMs;
    try {
      await this.#keepFreezerOn();
      await this.#set("FROZEN", "1");
      while (!(await this.isFrozen())) {
        signal.throwIfAborted();
        if (performance.now() > deadline)
          throw new TwinboardError("deadline-passed", {
            detail: `the freezer (${freezeTimeoutMs} ms): ${await this.#whoIsStuck()}`,
          });
        // Version 1 tries again only when it is asked again.
        await this.#set("FROZEN", "1");
        await sleep(pollMs);
      }
    } catch (error) {
      await this.thaw().catch(() => undefined);
      throw error;
    }
  }

  /** Also where somebody froze the board's group, which is above the container's. Repeatable. */
  async thaw(): Promise<void> {
    await Promise.all([
      this.#set("THAWED", "0"),
      this.#set("THAWED", "0", `/${this.#name}`).catch(() => undefined),
    ]);
  }

  /** Kills all that is in it, frozen or not, and returns when nothing is. Repeatable. Errors: `deadline-passed`; the signal's reason. */
  async kill(signal: AbortSignal): Promise<void> {
    const { freezer } = await this.#trees();
    if (freezer === undefined) return;
    const directory = join(freezer.home, this.path);
    const deadline = performance.now() + killTimeoutMs;
    for (;;) {
      const pids = processesIn(directory);
      if (pids.length === 0) return;
      signal.throwIfAborted();
      if (performance.now() > deadline)
        throw new TwinboardError("deadline-passed", {
          detail: `the end of a killed board (${killTimeoutMs} ms): ${await this.#whoIsStuck()}`,
        });
      // Linux 5.14; elsewhere one after the other, until none is left that could have started another.
      const atOnce = freezer.version === 2 && tryWrite(join(directory, "cgroup.kill"), "1");
      if (!atOnce) for (const pid of pids) kill(pid);
      // What version 1 has frozen hears no signal, nor anything below a group that is frozen.
      await this.thaw().catch(() => undefined);
      await sleep(pollMs);
    }
  }

  /** Ids of the board's helpers: the launch script, what that began, and the runtime while it runs a hook. */
  async helpers(): Promise<number[]> {
    const { roots } = await this.#trees();
    return [...new Set(roots.flatMap((root) => processesIn(join(root, this.#name, "host"))))];
  }

  /**
   * Kills the board's helpers, and goes on when none is left, or does not end in time; then what they have put into the container's group
   * meanwhile. Repeatable. Errors: those of `kill`.
   */
  async killHelpers(signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + helperTimeoutMs;
    // One may have begun another in between.
    for (let pids = await this.helpers(); pids.length > 0; pids = await this.helpers()) {
      for (const pid of pids) kill(pid);
      if (performance.now() > deadline) break;
      await sleep(pollMs);
    }
    // A launch that was under way has brought its container up since that was looked for.
    await this.kill(signal);
  }

  /**
   * Removes it from all trees; it must be empty, `tries` hundredths of a second from now at the latest. What is busy by then stays, and the
   * rest does not wait for it. Repeatable.
   */
  async remove(tries = removeTries): Promise<void> {
    const { roots } = await this.#trees();
    let left = roots.flatMap((root) =>
      ["board", "host", frozenPart, ""].map((part) => join(root, this.#name, part)),
    );
    for (let count = 1; ; count += 1) {
      const busy: string[] = [];
      // In this order: a group goes after those that are in it.
      for (const path of left) if (!(await tryRemove(path))) busy.push(path);
      left = busy;
      if (left.length === 0 || count >= tries) return;
      await sleep(10);
    }
  }

  /** @param path of the group, as the kernel has it below where boards' groups are. */
  async #set(first: string, second: string, path = this.path): Promise<void> {
    const { freezer } = await this.#trees();
    if (freezer === undefined)
      throw new TwinboardError("missing-kernel-feature", {
        detail: "no cgroup tree with a freezer is mounted",
      });
    const file = freezer.version === 1 ? "freezer.state" : "cgroup.freeze";
    const group = join(freezer.home, path);
    try {
      writeAtOnce(join(group, file), freezer.version === 1 ? first : second);
    } catch (cause) {
      throw unwritable(group, cause as NodeJS.ErrnoException);
    }
  }

  /** In the words of ps(1): `7 (dd) is in state D`. */
  async #whoIsStuck(): Promise<string> {
    const told = (await this.processes()).map((pid) => {
      const stat = readAtOnce(`/proc/${pid}/stat`) ?? "";
      const end = stat.lastIndexOf(")");
      return end === -1 ? "" : `${stat.slice(0, end + 1)} is in state ${stat[end + 2]}`;
    });
    const words = told.filter((text) => text !== "");
    return words.slice(0, 5).join(", ") || "nobody is in it";
  }

  async #trees(): Promise<Hierarchies> {
    this.#hierarchies ??= findHierarchies();
    return await this.#hierarchies;
  }
}

/** Removes a group. `false`: somebody is in it, or another group is. */
async function tryRemove(path: string): Promise<boolean> {
  return await rmdir(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== "EBUSY",
  );
}

/** Also those of groups below. */
function processesIn(directory: string): number[] {
  const text = readAtOnce(join(directory, "cgroup.procs")) ?? "";
  const own = text.split("\n").filter((line) => line !== "");
  return [
    ...own.map(Number),
    ...directoriesIn(directory).flatMap((name) => processesIn(join(directory, name))),
  ];
}

function tryWrite(path: string, text: string): boolean {
  try {
    writeAtOnce(path, text);
    return true;
  } catch {
    return false;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
