/** The last work of a machine that was just stopped, done before anybody calls it dormant. */
import { setTimeout as sleep } from "node:timers/promises";
import { allSleep, machineUsage } from "./machine-process.ts";

const pollMs = 10;
/** So many polls in a row without processor time, and without a thread that waits for a processor, count as rest. */
const restPolls = 3;
const timeoutMs = 1000;

/** Waits until a stopped machine, to which nothing can be sent any more, uses no more processor time, or a second has passed. */
export async function settle(pid: number, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  let last = machineUsage(pid)?.cpuNs;
  for (let rested = 0; rested < restPolls && performance.now() < deadline; ) {
    await sleep(pollMs, undefined, { signal });
    const now = machineUsage(pid)?.cpuNs;
    // On a busy host a thread may have been woken and not have had its turn yet.
    rested = now === last && allSleep(pid) ? rested + 1 : 0;
    last = now;
  }
}
