/** What the dormant board costs, by the kernel's own account and without asking the daemon. */
import { readdir, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { otherBoard } from "../../src/board/board.ts";
import type { Lab } from "../lab.ts";
import { say } from "../narrate.ts";

export interface DormantCost {
  readonly seconds: number;
  /** Processor time that all its threads together used meanwhile. */
  readonly cpuNs: number;
  readonly residentBytes: number;
}

/** Errors: no board is dormant. */
export async function dormantBoard(lab: Lab, seconds: number, signal: AbortSignal): Promise<DormantCost> {
  const { holder, boards } = await lab.device.status(signal);
  const name = holder === null ? "a" : otherBoard(holder);
  const { role, pid } = boards[name];
  if (role !== "dormant" || pid === null) throw new Error(`board ${name} is ${role}, not dormant`);
  const cost = await measure(pid, seconds, signal);
  const mebibytes = (cost.residentBytes / 1024 ** 2).toFixed(0);
  say(
    `  board ${name}, process ${pid}: ${cost.cpuNs} ns in ${cost.seconds.toFixed(1)} s, ${mebibytes} MiB resident`,
  );
  return cost;
}

async function measure(pid: number, seconds: number, signal: AbortSignal): Promise<DormantCost> {
  const startedAt = performance.now();
  const before = await cpuNs(pid);
  await sleep(seconds * 1000, undefined, { signal });
  const after = await cpuNs(pid);
  const elapsedMs = performance.now() - startedAt;
  return {
    seconds: Math.round(elapsedMs) / 1000,
    cpuNs: after - before,
    residentBytes: await residentBytes(pid),
  };
}

/** Time spent on a processor, of all threads (Linux, Documentation/scheduler/sched-stats.rst: first field of schedstat). */
async function cpuNs(pid: number): Promise<number> {
  let sum = 0;
  for (const task of await readdir(`/proc/${pid}/task`)) {
    const schedstat = await readFile(`/proc/${pid}/task/${task}/schedstat`, "utf8");
    sum += Number(schedstat.split(" ")[0]);
  }
  return sum;
}

/** proc(5), `VmRSS` of status, which is in kB. */
async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}
