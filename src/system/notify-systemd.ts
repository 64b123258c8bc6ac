/** Tells systemd how the daemon is (sd_notify(3)), where it was started by systemd; elsewhere every call does nothing. */
import { run } from "./process.ts";

const timeoutMs = 2000;

/**
 * Taken out of the environment, as sd_notify(3) advises: programs that the daemon starts would take it for theirs. A container's runtime gives
 * its container another socket then, on which nobody hears that it is ready.
 */
const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: watchdogUs, WATCHDOG_PID: watchdogPid } = process.env;
for (const name of ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]) delete process.env[name];

/**
 * Sends `NAME=VALUE` assignments, by systemd-notify(1) because Node has no unix datagram sockets: the unit needs `NotifyAccess=all`.
 * A failure is not the daemon's: it is given back, not thrown.
 */
export async function notifySystemd(...assignments: readonly string[]): Promise<Error | undefined> {
  if (socket === undefined) return undefined;
  try {
    await run("systemd-notify", [`--pid=${process.pid}`, ...assignments], {
      timeoutMs,
      env: { NOTIFY_SOCKET: socket },
    });
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

/** Sends `WATCHDOG=1` at half of the time that systemd allows (sd_watchdog_enabled(3)), until the signal aborts. */
export function feedWatchdog(signal: AbortSignal): void {
  const periodMs = Number(watchdogUs) / 2000;
  const isOurs = watchdogPid === undefined || Number(watchdogPid) === process.pid;
  if (socket === undefined || !(periodMs > 0) || !isOurs) return;
  const timer = setInterval(() => void notifySystemd("WATCHDOG=1"), periodMs);
  signal.addEventListener("abort", () => clearInterval(timer), { once: true });
}
