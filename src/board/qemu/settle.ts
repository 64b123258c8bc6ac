/** The last work of a machine that was just stopped, done before anybody calls it dormant. */
import { createSocket } from "node:dgram";
import { setTimeout as sleep } from "node:timers/promises";
import { allSleep, machineUsage } from "./machine-process.ts";

const discardPort = 9; // RFC 863
const pollMs = 10;
/** So many polls in a row without processor time, and without a thread that waits for a processor, count as rest. */
const restPolls = 3;
const timeoutMs = 1000;

/**
 * Waits until a stopped machine uses no more processor time, or a second has passed. QEMU wakes once for the first frame on a card
 * whose guest does not run, and no longer looks at that card then: on the host-only card, where the host's own kernel may speak at
 * any time, that frame is sent now.
 */
export async function settle(pid: number, mgmtHost: string, signal: AbortSignal): Promise<void> {
  await sendDatagram(mgmtHost);
  const deadline = performance.now() + timeoutMs;
  let last = (await machineUsage(pid))?.cpuNs;
  for (let rested = 0; rested < restPolls && performance.now() < deadline; ) {
    await sleep(pollMs, undefined, { signal });
    const now = (await machineUsage(pid))?.cpuNs;
    // On a busy host a thread may have been woken and not have had its turn yet.
    rested = now === last && (await allSleep(pid)) ? rested + 1 : 0;
    last = now;
  }
}

/** The board's kernel gets it when it wakes, and has no program at that port. */
async function sendDatagram(host: string): Promise<void> {
  const socket = createSocket("udp6");
  socket.on("error", () => undefined);
  await new Promise<void>((resolve) => socket.send("", discardPort, host, () => resolve()));
  socket.close();
}
