/** What boots on the core of something that answers, in the product's way and in others, and what it is compared with. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  type CpuGroup,
  joinGroup,
  makeCpuGroup,
  removeCpuGroup,
  setCpuPriority,
} from "../../src/system/cgroup.ts";
import type { MachinesLab } from "../../test/fixtures/machines/lab.ts";

/**
 * *core rests*: nothing boots, and the core sleeps between two answers. *core awake*: nothing boots, and a program of the scheduler's idle
 * class keeps it from sleeping, as it does in all other ways: what a boot adds is told against that, because a core that rests answers later
 * by its waking alone, and a board that boots lets it rest when it waits itself.
 */
export const ways = ["core rests", "core awake", "idle class", "equal shares", "one group"] as const;
export type Way = (typeof ways)[number];

export interface Contender {
  /** Those that it has. */
  readonly ways: readonly Way[];
  /** For one window; resolves when it is under way. */
  begin(way: Way): Promise<AsyncDisposable>;
}

/** Programs that begin and end, as in a boot, as fast as they can. */
const churn = "while :; do /bin/true; done";
const churns = 2;

/** A program on the one core, ended with all that it began. */
export function pinned(stack: AsyncDisposableStack, core: number, words: readonly string[]): ChildProcess {
  const child = spawn("taskset", ["-c", String(core), ...words], {
    stdio: ["pipe", "ignore", "inherit"],
    detached: true,
  });
  stack.defer(async () => await ended(child));
  return child;
}

/** A group of this run for processor shares, removed with the stack. Errors: there is no way to give shares. */
export async function shareGroup(stack: AsyncDisposableStack, what: string): Promise<CpuGroup> {
  const name = `twinboard-bench-${process.pid}-${what}`;
  const group = await makeCpuGroup(name);
  if (group.path === undefined) throw new Error(`no control group for processor shares: ${group.reason}`);
  stack.defer(async () => await removeCpuGroup(name));
  return group;
}

/** Errors: it was not started. */
export async function join(group: CpuGroup, child: ChildProcess): Promise<void> {
  if (child.pid === undefined || group.path === undefined) throw new Error("a program could not be started");
  await joinGroup(group.path, child.pid);
}

/** @param serving the group of what answers. */
export async function programs(
  stack: AsyncDisposableStack,
  core: number,
  serving: CpuGroup,
): Promise<Contender> {
  const booting = await shareGroup(stack, "booting");
  const wakers = await wakersGroup(stack);
  return {
    ways,
    begin: async (way) => {
      const window = await keptAwake(way, core, wakers);
      if (!boots(way)) return window;
      await setCpuPriority(booting, way === "idle class" ? "background" : "service");
      for (let count = 0; count < churns; count += 1)
        await join(way === "one group" ? serving : booting, pinned(window, core, ["sh", "-c", churn]));
      return window;
    },
  };
}

/** Board b of the lab, ended and booted again without a pause; asleep where nothing boots. @param booted is told of each boot, in milliseconds. */
export async function boards(
  stack: AsyncDisposableStack,
  { lab, kind }: { readonly lab: MachinesLab; readonly kind: "container" | "qemu" },
  core: number,
  booted: (way: Way, ms: number) => void,
  signal: AbortSignal,
): Promise<Contender> {
  const wakers = await wakersGroup(stack);
  const bootAgain = async (way: Way, over: AbortSignal): Promise<void> => {
    const priority = way === "idle class" ? "background" : "service";
    while (!over.aborted) {
      const { startMs, readyMs } = await lab.boot("b", signal, priority);
      booted(way, startMs + readyMs);
    }
  };
  return {
    ways: ways.filter((way) => way !== "one group"),
    begin: async (way) => {
      if (!boots(way)) return await keptAwake(way, core, wakers);
      // A machine that boots keeps the core awake by itself, and beside another program of its class it would be taken for one that starves.
      const window = kind === "qemu" ? new AsyncDisposableStack() : await keptAwake(way, core, wakers);
      const over = new AbortController();
      const booting = bootAgain(way, over.signal);
      // One that fails is told when the window ends.
      booting.catch(() => undefined);
      window.defer(async () => {
        over.abort();
        await booting;
        await lab.layToSleep("b", signal);
      });
      return window;
    },
  };
}

function boots(way: Way): boolean {
  return way !== "core rests" && way !== "core awake";
}

/** In a group: a program of the root group would have the share of its session (sched(7), autogroup), whatever its own class is. */
async function wakersGroup(stack: AsyncDisposableStack): Promise<CpuGroup> {
  const group = await shareGroup(stack, "awake");
  await setCpuPriority(group, "background");
  return group;
}

/** For one window: by a program that runs when nobody else wants to. */
async function keptAwake(way: Way, core: number, wakers: CpuGroup): Promise<AsyncDisposableStack> {
  const window = new AsyncDisposableStack();
  if (way !== "core rests") await join(wakers, pinned(window, core, ["sh", "-c", "while :; do :; done"]));
  return window;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const gone = once(child, "exit");
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    child.kill("SIGKILL");
  }
  await gone;
}
