/** What the host knows of a serial device without opening it: to open one moves its modem lines. */
import { readdir, readFile, readlink, realpath, stat } from "node:fs/promises";
import { basename } from "node:path";
import { processStartTicks } from "../../system/host.ts";

/** Another program's claim on a device, as UUCP and many after it write it (Filesystem Hierarchy Standard 3.0, section 5.9). */
export async function uucpLock(
  device: string,
): Promise<{ readonly path: string; readonly pid: number } | undefined> {
  const real = await realpath(device).catch(() => device);
  for (const name of new Set([basename(device), basename(real)])) {
    const path = `/var/lock/LCK..${name}`;
    const pid = Number((await readFile(path, "latin1").catch(() => "")).trim().split(/\s/)[0]);
    // What a program left that has ended claims nothing.
    if (pid > 0 && (await processStartTicks(pid)) !== undefined) return { path, pid };
  }
  return undefined;
}

/**
 * *serial*: a tty. *virtual*: a console of the screen, or another name of the caller's own terminal (devices.txt of the kernel's
 * documentation: majors 4 below minor 64, and 5). *other*: no tty.
 */
export async function deviceKind(device: string): Promise<"serial" | "virtual" | "other" | "missing"> {
  const found = await stat(device).catch(() => undefined);
  if (found === undefined) return "missing";
  if (!found.isCharacterDevice()) return "other";
  const { major, minor } = numbers(found.rdev);
  // The ends of pseudo terminals are not in sysfs.
  if (major >= 136 && major <= 143) return "serial";
  if (major === 5 || (major === 4 && minor < 64)) return "virtual";
  const kind = await readlink(`/sys/dev/char/${major}:${minor}/subsystem`).catch(() => "");
  return basename(kind) === "tty" ? "serial" : "other";
}

/** Of `stat().rdev` (glibc, gnu_dev_major). */
function numbers(rdev: number): { readonly major: number; readonly minor: number } {
  return { major: (rdev >>> 8) & 0xfff, minor: (rdev & 0xff) | ((rdev >>> 12) & 0xfff00) };
}

/** Processes that have the device open (proc(5), fd); those of other users are seen by root alone. */
export async function usersOf(device: string): Promise<{ readonly pid: number; readonly program: string }[]> {
  const real = await realpath(device).catch(() => device);
  const users: { pid: number; program: string }[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const links = (await readdir(`/proc/${pid}/fd`).catch(() => [])).map(async (fd) =>
      readlink(`/proc/${pid}/fd/${fd}`).catch(() => ""),
    );
    if (!(await Promise.all(links)).includes(real)) continue;
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    users.push({ pid: Number(pid), program: command.replaceAll("\0", " ").trim() });
  }
  return users;
}

export interface DriverCounts {
  /** Whether the kernel found a port behind the device. */
  readonly found: boolean;
  /** Bytes that it had to drop since it counts, because nobody took them in time. */
  readonly droppedBytes: number;
}

/** What the driver of 8250 and the like tells (serial_core.c, uart_proc_show); `undefined`: this device's driver tells nothing. */
export async function driverCounts(device: string): Promise<DriverCounts | undefined> {
  const real = await realpath(device).catch(() => device);
  const port = /^\/dev\/ttyS(\d+)$/.exec(real)?.[1];
  if (port === undefined) return undefined;
  const table = await readFile("/proc/tty/driver/serial", "utf8").catch(() => "");
  return parseDriverCounts(table, port);
}

/** Pure. */
export function parseDriverCounts(table: string, port: string): DriverCounts | undefined {
  const row = table.split("\n").find((line) => line.startsWith(`${port}:`));
  if (row === undefined) return undefined;
  const counted = (key: string): number => Number(new RegExp(` ${key}:(\\d+)`).exec(row)?.[1] ?? 0);
  return { found: !row.includes("uart:unknown"), droppedBytes: counted("oe") + counted("bo") };
}

/** Whether the kernel's own messages go out there (proc(5), consoles). */
export async function isConsole(device: string): Promise<boolean> {
  const real = await realpath(device).catch(() => device);
  const consoles = await readFile("/proc/consoles", "utf8").catch(() => "");
  return consoles.split("\n").some((line) => line.split(/\s/)[0] === basename(real));
}
