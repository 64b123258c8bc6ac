/** The first process of a board's container, found again by any daemon: id, start time and its place in a namespace must all agree. */
import { readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { processStartTicks } from "../../system/host.ts";
import { readAtOnce } from "../../system/memory-file.ts";
import { type MemoryGroup, memoryUsed } from "../../system/memory-group.ts";
import type { BoardUsage } from "../board.ts";
import type { ContainerGroup } from "./container-group.ts";
import { recordFiles } from "./launch-script.ts";

export interface ContainerProcess {
  readonly pid: number;
  readonly startTicks: number;
  readonly instance: string;
}

/** Of a condition: nothing else that is known of it. */
export function identityOf({ pid, startTicks, instance }: ContainerProcess): ContainerProcess {
  return { pid, startTicks, instance };
}

/** How a container ended. *exit*: it was killed. */
export interface ContainerEnd {
  readonly cause: "panic" | "shutdown" | "reset" | "exit";
  readonly detail: string;
}

export interface Trace {
  readonly process: ContainerProcess;
  readonly alive: boolean;
  /** Once it is known. */
  readonly end?: ContainerEnd;
  /** It does no more work, but its processes are still there. */
  readonly isLeft?: true;
}

/** The launch script writes down an end in this time, once the runtime has cleared away; on a busy host it waits for its turn. */
const lastWordMs = 5000;
const pollMs = 5;
/** signal(7): SIGKILL is 9, and the lowest bit is signal 1. */
const killBit = 1n << 8n;

/** What is left or runs of the container that was started last; `undefined` if there is nothing. */
export async function findContainer(records: string): Promise<Trace | undefined> {
  const process = findRecorded(records);
  if (process === undefined) return undefined;
  if (await isAlive(process)) return { process, alive: true };
  const deadline = performance.now() + lastWordMs;
  for (;;) {
    // In this order: it writes the end down and is gone.
    const monitor = await findMonitor(records);
    const end = readEnd(records, process);
    if (end !== undefined) return { process, alive: false, end };
    if (performance.now() > deadline || monitor === undefined) return { process, alive: false };
    await sleep(pollMs);
  }
}

/** The first process of a container that runs; nobody waits for what is known of one that has ended. */
export async function findLiving(records: string): Promise<ContainerProcess | undefined> {
  const process = findRecorded(records);
  return process !== undefined && (await isAlive(process)) ? process : undefined;
}

/** Process id of a launch script that has not brought its container up yet. Asked before `findLiving`, nothing gets past both. */
export async function findLaunch(records: string): Promise<number | undefined> {
  const monitor = await findMonitor(records);
  return monitor !== undefined && findRecorded(records) === undefined ? monitor : undefined;
}

function findRecorded(records: string): ContainerProcess | undefined {
  return parseProcess(readAtOnce(join(records, recordFiles.process)));
}

/** Not by its control group: from there somebody may have taken it. */
async function isAlive({ pid, startTicks }: ContainerProcess): Promise<boolean> {
  return (await processStartTicks(pid)) === startTicks && isFirst(pid);
}

/**
 * Of a container that is frozen: whether it was killed meanwhile. What version 1 has frozen ends when it is thawed, and so nobody learns of
 * it by its end (proc(5), `SigPnd` and `ShdPnd` of /proc/PID/status).
 */
export function killedInItsSleep(process: ContainerProcess): Trace | undefined {
  const pending = [...statusOf(process.pid).matchAll(/^(?:SigPnd|ShdPnd):\t([0-9a-f]+)$/gm)];
  const isKilled = pending.some(([, mask = ""]) => (BigInt(`0x${mask}`) & killBit) !== 0n);
  const end = { cause: "exit", detail: "the board's init was killed while it slept" } as const;
  return isKilled ? { process, alive: false, end, isLeft: true } : undefined;
}

/** Whether it is the first of a namespace of processes that is not this one (proc(5), `NSpid`). */
function isFirst(pid: number): boolean {
  return /^NSpid:\t\d+\t(?:\d+\t)*1$/m.test(statusOf(pid));
}

/** Empty if it is gone. */
function statusOf(pid: number): string {
  return readAtOnce(`/proc/${pid}/status`) ?? "";
}

/**
 * Ids of all processes in the namespace of a container's first process, in this process's numbers, wherever somebody put them; without
 * those that have ended. Reads what is memory of the kernel's, at once.
 */
export async function processesOf({ pid }: ContainerProcess): Promise<number[]> {
  const own = namespaceOf(String(pid));
  if (own === undefined) return [];
  const pids: number[] = [];
  for (const name of readdirSync("/proc"))
    if (
      /^\d+$/.test(name) &&
      namespaceOf(name) === own &&
      (await processStartTicks(Number(name))) !== undefined
    )
      pids.push(Number(name));
  return pids;
}

function namespaceOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return undefined;
  }
}

/** Process id of the launch script, if it still is there. */
export async function findMonitor(records: string): Promise<number | undefined> {
  const text = readAtOnce(join(records, recordFiles.monitor)) ?? "";
  const [pid = 0, ticks] = text.trim().split(" ").map(Number);
  return pid > 0 && (await processStartTicks(pid)) === ticks ? pid : undefined;
}

/**
 * Its memory is what its group is charged with, files in memory of its own included, as the limit counts it; where nobody counts that, what
 * its processes have resident.
 */
export async function usageOf(
  group: ContainerGroup,
  memory: MemoryGroup | undefined,
): Promise<BoardUsage | undefined> {
  const cpuNs = await group.processorTime();
  if (cpuNs === undefined) return undefined;
  const charged = memory === undefined ? undefined : await memoryUsed(memory);
  return { cpuNs, residentBytes: charged ?? residentOf(await group.processes()) };
}

function residentOf(pids: readonly number[]): number {
  return pids
    .map((pid) => Number(/^VmRSS:\s+(\d+) kB$/m.exec(statusOf(pid))?.[1] ?? 0) * 1024)
    .reduce((sum, bytes) => sum + bytes, 0);
}

function parseProcess(text: string | undefined): ContainerProcess | undefined {
  const [pid, ticks, instance] = text?.trim().split(" ") ?? [];
  if (instance === undefined || !(Number(pid) > 0)) return undefined;
  return { pid: Number(pid), startTicks: Number(ticks), instance };
}

function readEnd(records: string, { instance }: ContainerProcess): ContainerEnd | undefined {
  const text = readAtOnce(join(records, recordFiles.ended));
  const [of, status] = text?.trim().split(" ") ?? [];
  return of === instance ? endOf(Number(status)) : undefined;
}

/** reboot(2) in a process namespace ends its first process by a signal: SIGHUP to restart, SIGINT to halt. */
export function endOf(status: number): ContainerEnd {
  if (status === 129) return { cause: "reset", detail: "the board reset itself" };
  if (status === 130) return { cause: "shutdown", detail: "the board shut itself down" };
  if (status === 0) return { cause: "shutdown", detail: "the board's init ended" };
  if (status === 137) return { cause: "exit", detail: "the board's init was killed" };
  // So ends every runtime that could not execute it.
  if (status === 1)
    return { cause: "panic", detail: "the board's init ended with exit status 1, or could not be executed" };
  const how = status > 128 ? `signal ${status - 128}` : `exit status ${status}`;
  return { cause: "panic", detail: `the board's init ended with ${how}` };
}
