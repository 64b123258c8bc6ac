/** What the dormant board costs, by the kernel's own account and without asking the daemon. */
import { readdir, readFile, readlink } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { otherBoard } from "../../src/board/board.ts";
import type { Lab } from "../lab.ts";
import { say } from "../narrate.ts";

export interface DormantCost {
  readonly seconds: number;
  /** Processor time that all threads of all its processes together used meanwhile. */
  readonly cpuNs: number;
  readonly residentBytes: number;
}

/** Errors: no board is dormant. */
export async function dormantBoard(lab: Lab, seconds: number, signal: AbortSignal): Promise<DormantCost> {
  const { holder, boards } = await lab.device.status(signal);
  const name = holder === null ? "a" : otherBoard(holder);
  const { role, pid } = boards[name];
  if (role !== "dormant" || pid === null) throw new Error(`board ${name} is ${role}, not dormant`);
  const cost = await measure(await processesOf(pid), seconds, signal);
  const mebibytes = (cost.residentBytes / 1024 ** 2).toFixed(0);
  say(
    `  board ${name}, process ${pid}: ${cost.cpuNs} ns in ${cost.seconds.toFixed(1)} s, ${mebibytes} MiB resident`,
  );
  return cost;
}

/** A machine is one process; a container all those in the namespace of its first one, none of which ends while they sleep. */
async function processesOf(pid: number): Promise<number[]> {
  const own = await namespaceOf(String(pid));
  if (own === (await namespaceOf("self"))) return [pid];
  const names = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const spaces = await Promise.all(names.map(namespaceOf));
  return names.filter((_, index) => spaces[index] === own).map(Number);
}

async function namespaceOf(process: string): Promise<string> {
  return await readlink(`/proc/${process}/ns/pid`).catch(() => "");
}

async function measure(pids: readonly number[], seconds: number, signal: AbortSignal): Promise<DormantCost> {
  const startedAt = performance.now();
  const before = await threadTimes(pids);
  await sleep(seconds * 1000, undefined, { signal });
  const after = await threadTimes(pids);
  const elapsedMs = performance.now() - startedAt;
  // One of QEMU's threads that was idle for long may have ended, and its time is gone with it: each is compared with itself.
  const used = [...after].map(([thread, timeNs]) => timeNs - (before.get(thread) ?? 0));
  return {
    seconds: Math.round(elapsedMs) / 1000,
    cpuNs: used.reduce((sum, timeNs) => sum + timeNs, 0),
    residentBytes: (await Promise.all(pids.map(residentBytes))).reduce((sum, bytes) => sum + bytes, 0),
  };
}

/** By thread, nanoseconds spent on a processor (Linux, Documentation/scheduler/sched-stats.rst: first field of schedstat). */
async function threadTimes(pids: readonly number[]): Promise<Map<string, number>> {
  const times = new Map<string, number>();
  for (const pid of pids)
    for (const thread of await readdir(`/proc/${pid}/task`)) {
      const schedstat = await readFile(`/proc/${pid}/task/${thread}/schedstat`, "utf8").catch(
        () => undefined,
      );
      if (schedstat !== undefined) times.set(thread, Number(schedstat.split(" ")[0]));
    }
  return times;
}

/** proc(5), `VmRSS` of status, which is in kB. */
async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}
