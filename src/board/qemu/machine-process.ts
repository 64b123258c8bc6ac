/** The QEMU process of a board, found again by any daemon: process id, start time and the instance's uuid must all agree. */
import { readdir, readlink } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { TwinboardError } from "../../errors.ts";
import { processStartTicks } from "../../system/host.ts";
import { directoriesIn, readAtOnce } from "../../system/memory-file.ts";
import type { BoardUsage } from "../board.ts";
import { ofThreads } from "./machine-threads.ts";

export interface MachineProcess {
  readonly pid: number;
  readonly startTicks: number;
  readonly instance: string;
}

/** How long QEMU may take to end in order before it is killed. */
const endTimeoutMs = 2000;
/** How long the kernel may take to free a killed machine's memory. */
const killTimeoutMs = 10_000;
const pollMs = 5;

/** The process that `path` (its id and start time in clock ticks, in decimal) names, if it still is that process. */
export async function findMachineProcess(path: string): Promise<MachineProcess | undefined> {
  const [pid, startTicks] = (readAtOnce(path) ?? "").trim().split(" ").map(Number);
  if (pid === undefined || startTicks === undefined || !(pid > 0)) return undefined;
  if ((await processStartTicks(pid)) !== startTicks) return undefined;
  const args = argumentsOf(pid);
  const instance = args[args.indexOf("-uuid") + 1];
  return args.includes("-uuid") && instance !== undefined ? { pid, startTicks, instance } : undefined;
}

/** The machine's kernel command line; empty if the process is gone. */
export function kernelCommandLineOf({ pid }: MachineProcess): string {
  const args = argumentsOf(pid);
  return args[args.indexOf("-append") + 1] ?? "";
}

function argumentsOf(pid: number): string[] {
  return (readAtOnce(`/proc/${pid}/cmdline`) ?? "").split("\0");
}

export async function isAlive({ pid, startTicks }: MachineProcess): Promise<boolean> {
  return (await processStartTicks(pid)) === startTicks;
}

/** Ends the process and returns when it is gone. Repeatable. Errors: `deadline-passed`; the signal's reason. */
export async function endMachineProcess(machine: MachineProcess, signal: AbortSignal): Promise<void> {
  for (const [name, timeoutMs] of [
    ["SIGTERM", endTimeoutMs],
    ["SIGKILL", killTimeoutMs],
  ] as const) {
    signal.throwIfAborted();
    if (await isGone(machine)) return;
    kill(machine.pid, name);
    const deadline = performance.now() + timeoutMs;
    while (performance.now() < deadline) {
      if (await isGone(machine)) return;
      await sleep(pollMs, undefined, { signal });
    }
  }
  throw new TwinboardError("deadline-passed", {
    detail: `the end of process ${machine.pid} after SIGKILL (${killTimeoutMs} ms)`,
  });
}

/** Whether its memory and files are free: the first thread of a process may be a zombie while the others still end. */
async function isGone(machine: MachineProcess): Promise<boolean> {
  if (await isAlive(machine)) return false;
  return directoriesIn(`/proc/${machine.pid}/task`).length <= 1;
}

function kill(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/**
 * Processor time by the scheduler's account (kernel documentation, sched-stats: field 1 of `/proc/PID/task/TID/schedstat`) of all
 * threads that live, and resident memory (proc(5), `VmRSS`). `undefined` if the process is gone.
 */
export function machineUsage(pid: number): BoardUsage | undefined {
  const times = ofThreads(pid, "schedstat").map((text) => Number(text?.split(" ")[0] ?? 0));
  const residentKib = /^VmRSS:\s+(\d+) kB$/m.exec(readAtOnce(`/proc/${pid}/status`) ?? "")?.[1];
  if (residentKib === undefined) return undefined;
  return { cpuNs: times.reduce((sum, time) => sum + time, 0), residentBytes: Number(residentKib) * 1024 };
}

/** Names of the files below a directory, which ends in a slash, that the process has open (proc(5), /proc/PID/fd); none if it is gone. */
export async function openNodes(pid: number, directory: string): Promise<string[]> {
  const fds = await readdir(`/proc/${pid}/fd`).catch(() => []);
  // What was closed since is not open.
  const paths = await Promise.all(fds.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => "")));
  const names = paths
    .filter((path) => path.startsWith(directory))
    .map((path) => path.slice(directory.length));
  return [...new Set(names)];
}

/** Whether none of the process's threads runs or waits for a processor (proc(5), field 3 of `/proc/PID/task/TID/stat`). */
export function allSleep(pid: number): boolean {
  const stats = ofThreads(pid, "stat");
  // One that has ended since was not asleep.
  return stats.length > 0 && stats.every((stat) => stat?.[stat.lastIndexOf(")") + 2] === "S");
}
