/** How the host holds a board, of whatever kind: its share of a processor, the cores that it runs on, and the memory that it may take. */
import { setTimeout as sleep } from "node:timers/promises";
import type { TwinboardError } from "../errors.ts";
import { leaveHome } from "../system/boards-scope.ts";
import {
  type CpuGroup,
  cpuShare,
  joinGroup,
  setCpuPriority,
  setCpuShare,
  threadsOutside,
} from "../system/cgroup.ts";
import { findCgroupTrees } from "../system/cgroup-trees.ts";
import { nextShare, type Stretch } from "../system/least-share.ts";
import { type MemoryGroup, memoryKills as memoryKillsOf } from "../system/memory-group.ts";
import { reclaim } from "../system/memory-reclaim.ts";
import type { BoardConfinement, BoardPlacement } from "./board.ts";
import { type BoardThreads, ThreadPlacement } from "./thread-placement.ts";

/** Where threads of a board belong in one tree of control groups. */
export interface ThreadHome {
  /** Directory of the group that one is put back into. */
  readonly group: string;
  /** Directories of the groups in which one is at home; `group` is one of them. */
  readonly within: readonly string[];
}

/** A board's control groups: who makes them, and which of them owns which controller, is the driver's part. */
export interface BoardGroups {
  /** Once they were made. */
  readonly cpu: CpuGroup | undefined;
  readonly memory: MemoryGroup | undefined;
  /** Why no group holds the board on the cores that were set last; `null` if one does, or none needs to. */
  readonly coresReason: string | null;
  /** Repeatable. */
  make(): Promise<void>;
  /** Sets the cores that no affinity gets around, now and for the next start; `null`: all. Affinity alone holds where that cannot be. Repeatable. */
  bound(cores: readonly number[] | null): Promise<void>;
  /** The same of groups that are there, if they have others by now; makes none. Repeatable, and cheap when nothing differs. */
  keep(cores: readonly number[] | null): Promise<void>;
  /** Of a board that is not off: those that the host has. */
  homes(): Promise<readonly ThreadHome[]>;
  /** What they have counted is the last run's: makes them new, as far as that takes no time. Of a board that is off. Repeatable. */
  forget(): Promise<void>;
  /** Of a board that is off. Repeatable. */
  remove(): Promise<void>;
}

export interface ConfinementOptions extends BoardThreads {
  readonly groups: BoardGroups;
  readonly placement: BoardPlacement | undefined;
  /** How much it ran and waited in a stretch that ends now, or `undefined` if that cannot be told (yet), or it sleeps. */
  readonly schedule: () => Promise<Stretch | undefined>;
  /** The next stretch begins no earlier than now; left out where each does anyway. */
  readonly beginStretch?: () => void;
  /** How many of the board's own threads wait for each other, by that account, on a single core. */
  readonly rivals: number;
  readonly memory: {
    /** Most that the board may take of the host. */
    readonly limitBytes: number;
    /** What the limit is made of, and whom the kernel kills, in words. */
    readonly basis: string;
    readonly victim: string;
  };
}

const tendTimeoutMs = 5000;
/** Each look takes the daemon a millisecond or two, on a core that may be the one in question. */
const firstLooks = 16;
const firstLooksMs = 50;

export class Confinement {
  readonly placement: ThreadPlacement;
  readonly #options: ConfinementOptions;
  #priority: "background" | "service" | undefined;
  /** Of settings of the priority: looks that one of them began end with the next. */
  #turn = 0;
  /** Why its share is not what was asked for last. */
  #unshared: string | undefined;
  /** Why a thread could not be put back into its group. */
  #escape: string | undefined;

  constructor(options: ConfinementOptions) {
    this.#options = options;
    this.placement = new ThreadPlacement(options, options.placement ?? { cores: null, emulator: null });
  }

  /** Makes the groups, and puts a board that runs where it belongs. Repeatable. Errors: the signal's reason. */
  async setUp(signal: AbortSignal): Promise<void> {
    const { groups, processes } = this.#options;
    if ((await processes()).length === 0) await groups.forget().catch(() => undefined);
    await groups.make();
    // The configuration may be another than when it was started. What the kernel refuses is told by `of`.
    await this.#applyPlacement(signal).catch(() => signal.throwIfAborted());
  }

  /** From now on, and for each later start. Errors: `command-failed`; the signal's reason. */
  async place(placement: BoardPlacement, signal: AbortSignal): Promise<void> {
    this.placement.want(placement);
    await this.#applyPlacement(signal);
  }

  /** The group first: it bounds what affinity can be. */
  async #applyPlacement(signal: AbortSignal): Promise<void> {
    await this.#options.groups.bound(this.placement.all);
    await this.gather();
    await this.placement.apply(signal);
  }

  /** Of a board that is off. Repeatable. */
  async remove(): Promise<void> {
    await this.#options.groups.remove();
    const tree = (await findCgroupTrees()).unified;
    if (tree !== undefined) await leaveHome(tree);
  }

  /** What the kernel ended for want of memory since the board was started, if it did, as a part of a sentence. */
  async death(): Promise<string | undefined> {
    const { groups, memory } = this.#options;
    if (groups.memory === undefined || (await memoryKillsOf(groups.memory)) === 0) return undefined;
    return `the kernel killed ${memory.victim}, which wanted more memory than its control group may have (${this.#limit})`;
  }

  #survived(kills: number): string {
    const those = kills === 1 ? "1 of its processes was" : `${kills} of its processes were`;
    return `${those} killed by the kernel since it was started: it wanted more memory than its control group may have (${this.#limit})`;
  }

  get #limit(): string {
    const { limitBytes, basis } = this.#options.memory;
    return `${Math.ceil(limitBytes / 1024 ** 2)} MiB; ${basis}`;
  }

  /** Of a board that is about to start: what the last run was raised to counts no more. */
  async begin(priority: "background" | "service"): Promise<void> {
    this.#priority = undefined;
    await this.setPriority(priority);
  }

  /** What the kernel refuses is told by `of` and tried again with each look: the service is more important than its share. */
  async setPriority(priority: "background" | "service"): Promise<void> {
    // It may have been raised meanwhile, and is as it should be.
    if (priority === "background" && this.#priority === priority && this.#unshared === undefined) return;
    const { groups } = this.#options;
    if (groups.cpu === undefined) await groups.make();
    this.#priority = priority;
    if (groups.cpu === undefined) return;
    this.#unshared = await setCpuPriority(groups.cpu, priority).then(
      () => undefined,
      (error: TwinboardError) => error.detail ?? error.message,
    );
    this.#turn += 1;
    // How it fared with another share says nothing.
    this.#options.beginStretch?.();
    if (priority === "background") void this.#lookSoon(this.#turn).catch(() => undefined);
  }

  /** A container has booted before anybody would look; so a board that has just come to the background is looked at in short intervals first. */
  async #lookSoon(turn: number): Promise<void> {
    for (let count = 0; count < firstLooks && turn === this.#turn; count += 1) {
      // A look may itself take as long as that.
      await Promise.all([this.#raise(), sleep(firstLooksMs, undefined, { ref: false })]);
    }
  }

  /** Looks after a board that runs: puts back what strays, and cores that its groups lost; raises one that gets no processor time. Reads what the kernel has. */
  async tend(): Promise<void> {
    if (this.#unshared !== undefined && this.#priority !== undefined) await this.setPriority(this.#priority);
    // A core that went offline and came back may be missing in them, and those that the daemon may use may be others now.
    await this.#options.groups.keep(this.placement.all);
    await this.gather();
    await this.placement.mend(AbortSignal.timeout(tendTimeoutMs));
    await this.#raise();
  }

  async #raise(): Promise<void> {
    const group = this.#options.groups.cpu;
    const percent = group === undefined ? undefined : await cpuShare(group);
    if (group === undefined || percent === undefined || percent >= 100) return;
    const { schedule, rivals } = this.#options;
    const stretch = await schedule();
    const raised = stretch === undefined ? undefined : nextShare(stretch, percent, rivals);
    // A takeover in between gave it all that there is.
    if (raised !== undefined && (await cpuShare(group)) === percent) await setCpuShare(group, raised);
  }

  /** Of a board that sleeps: takes back memory that is in no use, until the signal aborts. It costs the board no processor time. */
  async reclaim(signal: AbortSignal): Promise<void> {
    const { memory } = this.#options.groups;
    if (memory !== undefined) await reclaim(memory, signal);
  }

  async of(): Promise<BoardConfinement> {
    const { groups, processes } = this.#options;
    const { cpu, memory } = groups;
    const placed = await this.placement.of();
    const share = cpu === undefined ? undefined : await cpuShare(cpu);
    const lacks = [...placed.lacks];
    if (cpu?.way === "none")
      lacks.push(`it is not kept out of the other's way while it boots: ${cpu.reason}`);
    if (this.#unshared !== undefined) {
      const meant = this.#priority === "service" ? "one in service" : "one in the background";
      lacks.push(`its share of the processor could not be made that of ${meant}: ${this.#unshared}`);
    }
    if (memory !== undefined && memory.path === undefined)
      lacks.push(`its memory is not limited: ${memory.reason}`);
    if (groups.coresReason !== null)
      lacks.push(`its cores are held by affinity alone, which its threads can change: ${groups.coresReason}`);
    const pids = await processes();
    for (const { group, within } of pids.length === 0 ? [] : await groups.homes()) {
      const outside = (await threadsOutside(within, pids)).length;
      const why = this.#escape === undefined ? "" : `: ${this.#escape}`;
      const who = outside === 1 ? "1 thread is" : `${outside} threads are`;
      if (outside > 0) lacks.push(`${who} outside its control group ${group}${why}`);
    }
    const memoryKills = pids.length === 0 || memory === undefined ? 0 : await memoryKillsOf(memory);
    if (memoryKills > 0) lacks.push(this.#survived(memoryKills));
    return { ...placed, sharePercent: share ?? null, memoryKills, lacks };
  }

  /** Puts threads that have left the board's groups back. A process may have ended meanwhile; to put one where it is changes nothing. */
  async gather(): Promise<void> {
    const { groups, processes } = this.#options;
    this.#escape = undefined;
    const pids = await processes();
    if (pids.length === 0) return;
    for (const { group, within } of await groups.homes())
      for (const pid of new Set(await threadsOutside(within, pids)))
        await joinGroup(group, pid).catch((error: Error) => (this.#escape = error.message));
  }
}
