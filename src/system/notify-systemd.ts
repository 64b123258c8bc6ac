/** Tells systemd how the daemon is (sd_notify(3)), where it was started by systemd; elsewhere every call does nothing. */
import { run } from "./process.ts";

const timeoutMs = 2000;

/**
 * Sends `NAME=VALUE` assignments, by systemd-notify(1) because Node has no unix datagram sockets: the unit needs `NotifyAccess=all`.
 * A failure is not the daemon's: it is given back, not thrown.
 */
export async function notifySystemd(...assignments: readonly string[]): Promise<Error | undefined> {
  if (process.env["NOTIFY_SOCKET"] === undefined) return undefined;
  try {
    await run("systemd-notify", [`--pid=${process.pid}`, ...assignments], { timeoutMs });
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

/** Sends `WATCHDOG=1` at half of the time that systemd allows (sd_watchdog_enabled(3)), until the signal aborts. */
export function feedWatchdog(signal: AbortSignal): void {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: allowedUs, WATCHDOG_PID: pid } = process.env;
  const periodMs = Number(allowedUs) / 2000;
  if (socket === undefined || !(periodMs > 0) || (pid !== undefined && Number(pid) !== process.pid)) return;
  const timer = setInterval(() => void notifySystemd("WATCHDOG=1"), periodMs);
  signal.addEventListener("abort", () => clearInterval(timer), { once: true });
}
