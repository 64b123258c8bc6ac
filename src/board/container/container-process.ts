/** The first process of a board's container, found again by any daemon: id, start time and control group must all agree. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { readFileIfThere } from "../../system/files.ts";
import { processStartTicks } from "../../system/host.ts";
import type { BoardUsage } from "../board.ts";
import type { ContainerGroup } from "./container-group.ts";
import { recordFiles } from "./launch-script.ts";

export interface ContainerProcess {
  readonly pid: number;
  readonly startTicks: number;
  readonly instance: string;
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
}

/** The launch script writes down an end in this time, once the runtime has cleared away; on a busy host it waits for its turn. */
const lastWordMs = 5000;
const pollMs = 5;

/** What is left or runs of the container that was started last; `undefined` if there is nothing. */
export async function findContainer(records: string, group: ContainerGroup): Promise<Trace | undefined> {
  const process = parseProcess(await readFileIfThere(join(records, recordFiles.process)));
  if (process === undefined) return undefined;
  if (await isAlive(process, group)) return { process, alive: true };
  const deadline = performance.now() + lastWordMs;
  for (;;) {
    const end = await readEnd(records, process);
    if (end !== undefined) return { process, alive: false, end };
    if (performance.now() > deadline || (await findMonitor(records)) === undefined)
      return { process, alive: false };
    await sleep(pollMs);
  }
}

export async function isAlive(
  { pid, startTicks }: ContainerProcess,
  group: ContainerGroup,
): Promise<boolean> {
  return (await processStartTicks(pid)) === startTicks && (await group.holds(pid));
}

/** Process id of the launch script, if it still is there. */
export async function findMonitor(records: string): Promise<number | undefined> {
  const text = (await readFileIfThere(join(records, recordFiles.monitor))) ?? "";
  const [pid = 0, ticks] = text.trim().split(" ").map(Number);
  return pid > 0 && (await processStartTicks(pid)) === ticks ? pid : undefined;
}

export async function usageOf(group: ContainerGroup): Promise<BoardUsage | undefined> {
  const cpuNs = await group.processorTime();
  if (cpuNs === undefined) return undefined;
  const resident = (await group.processes()).map(async (pid) => {
    const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
  });
  return { cpuNs, residentBytes: (await Promise.all(resident)).reduce((sum, bytes) => sum + bytes, 0) };
}

function parseProcess(text: string | undefined): ContainerProcess | undefined {
  const [pid, ticks, instance] = text?.trim().split(" ") ?? [];
  if (instance === undefined || !(Number(pid) > 0)) return undefined;
  return { pid: Number(pid), startTicks: Number(ticks), instance };
}

async function readEnd(records: string, { instance }: ContainerProcess): Promise<ContainerEnd | undefined> {
  const text = await readFileIfThere(join(records, recordFiles.ended));
  const [of, status] = text?.trim().split(" ") ?? [];
  return of === instance ? endOf(Number(status)) : undefined;
}

/** reboot(2) in a process namespace ends its first process by a signal: SIGHUP to restart, SIGINT to halt. */
export function endOf(status: number): ContainerEnd {
  if (status === 129) return { cause: "reset", detail: "the board reset itself" };
  if (status === 130) return { cause: "shutdown", detail: "the board shut itself down" };
  if (status === 0) return { cause: "shutdown", detail: "the board's init ended" };
  if (status === 137) return { cause: "exit", detail: "the board's init was killed" };
  const how = status > 128 ? `signal ${status - 128}` : `exit status ${status}`;
  return { cause: "panic", detail: `the board's init ended with ${how}` };
}
