/** Starts a board's QEMU so that it outlives the daemon, as an unprivileged user, in its control group and on its cores. */
import { spawn } from "node:child_process";
import { constants, type FileHandle, open, readFile, stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { TwinboardError } from "../../errors.ts";
import { coreListText } from "../../system/core-list.ts";
import { passableDevice } from "../../system/pci.ts";
import type { BoardStart } from "../board.ts";
import { consoleHardLimitBytes } from "../console.ts";
import type { MachineUser } from "./board-directories.ts";
import { type Machine, qemuArguments, translationCacheBytes } from "./command-line.ts";
import { launchScript, scriptArguments } from "./launch-script.ts";

/** Resident bytes of QEMU besides the board's memory and the translation cache. */
const ownBytes = 48 * 1024 * 1024;

/** For the kernel's account of it: stacks, tables of pages, buffers of cards and disks that are on their way. */
const spareBytes = 64 * 1024 * 1024;
const perProcessorBytes = 8 * 1024 * 1024;

const killTimeoutMs = 2000;

/** Most that a machine takes of its host while nothing is wrong with it. */
export function machineLimitBytes(machine: Pick<Machine, "memoryBytes" | "cpus" | "accelerator">): number {
  const { memoryBytes, cpus, accelerator } = machine;
  const cache = accelerator === "tcg" ? translationCacheBytes : 0;
  return memoryBytes + ownBytes + cache + spareBytes + cpus * perProcessorBytes;
}

export interface Launch {
  readonly machine: Omit<Machine, "initrd" | "diskIo">;
  readonly images: BoardStart["images"];
  /** The machine's directory. */
  readonly directory: string;
  /** The record directory, which exists. */
  readonly records: string;
  readonly user: MachineUser;
  /** Cores that its first thread may use, and all that this begins; all if empty. */
  readonly cores: readonly number[];
  /** Directories of the board's control groups, those that the host has. */
  readonly groupPaths: readonly string[];
  readonly console: FileHandle;
  readonly stderrPath: string;
}

export interface LaunchedMachine {
  /** The code if it ends while the daemon lives. */
  readonly exit: Promise<number | NodeJS.Signals>;
  /** Kills the process, also before it has written down who it is. Repeatable. */
  readonly end: () => Promise<void>;
}

/**
 * Starts the process. What QEMU has to say is in `stderrPath`.
 * Errors: `missing-program`, `board-start-failed` (an image is missing or unreadable), `too-little-memory`; `missing-card`, `uplink-unfit`
 * (a card that was to be its own).
 */
export async function launch(options: Launch): Promise<LaunchedMachine> {
  await requireMemory(options.machine);
  const files: FileHandle[] = [];
  try {
    const rootfs = await openRootfs(options.images);
    files.push(rootfs.file);
    const kernel = await openReadable(options, "kernel");
    files.push(kernel);
    const initrd = options.images["initrd"] === undefined ? undefined : await openReadable(options, "initrd");
    if (initrd !== undefined) files.push(initrd);
    const stderr = await open(options.stderrPath, "w", 0o600);
    files.push(stderr);
    const words = qemuArguments({
      ...options.machine,
      initrd: initrd !== undefined,
      diskIo: rootfs.direct ? "native" : "threads",
    });
    const child = spawn(
      "unshare",
      wrap(options, await deviceGroups(options), await vfioGroupOf(options), words),
      {
        cwd: options.records,
        detached: true,
        // In the order of `inherited`.
        stdio: [
          "ignore",
          "ignore",
          stderr.fd,
          options.console.fd,
          rootfs.file.fd,
          kernel.fd,
          initrd?.fd ?? "ignore",
        ],
      },
    );
    child.unref();
    const exit = new Promise<number | NodeJS.Signals>((resolve) => {
      child.once("exit", (code, signal) => resolve(code ?? signal ?? "SIGKILL"));
      child.once("error", () => resolve(127));
    });
    const end = async (): Promise<void> => {
      child.kill("SIGKILL");
      await Promise.race([exit, sleep(killTimeoutMs, undefined, { ref: false })]);
    };
    return { exit, end };
  } finally {
    for (const file of files) await file.close();
  }
}

function wrap(options: Launch, groups: string[], vfioGroup: string, words: readonly string[]): string[] {
  const { user, cores, groupPaths, directory } = options;
  const fileBlocks = consoleHardLimitBytes / 512;
  return [
    ["--mount", "--propagation", "slave"],
    ["sh", "-c", launchScript, "twinboard-board"],
    scriptArguments({ ...user, directory, groupPaths: groupPaths.join(":"), fileBlocks, vfioGroup }),
    ...(cores.length > 0 ? ["taskset", "-c", coreListText(cores)] : []),
    ["setpriv", "--reuid", String(user.uid), "--regid", String(user.gid), ...groups],
    ["--inh-caps", "-all", "--ambient-caps", "-all", "--bounding-set", "-all", "--no-new-privs"],
    options.machine.architecture.program,
    ...words,
  ].flat();
}

/** Of a card that the board has for itself (Documentation/driver-api/vfio.rst); empty: it has none. Errors: `missing-card`, `uplink-unfit`. */
async function vfioGroupOf({ machine }: Launch): Promise<string> {
  const { wire } = machine.identity;
  return typeof wire === "string" ? "" : (await passableDevice(wire.ownPci)).group;
}

/** QEMU opens /dev/kvm itself; its group is the usual way in. */
async function deviceGroups({ machine }: Launch): Promise<string[]> {
  if (machine.accelerator !== "kvm") return ["--clear-groups"];
  const { gid } = await stat("/dev/kvm").catch((cause: unknown) => {
    throw new TwinboardError("no-kvm", { detail: "/dev/kvm is missing", cause });
  });
  return ["--groups", String(gid)];
}

/** O_DIRECT spares the worker threads, whose idle end would cost a dormant board processor time; not every file system has it. */
async function openRootfs(images: BoardStart["images"]): Promise<{ file: FileHandle; direct: boolean }> {
  const path = imagePath(images, "rootfs");
  try {
    return { file: await open(path, constants.O_RDONLY | constants.O_DIRECT), direct: true };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EINVAL") throw unreadable("rootfs", path, error);
    return { file: await open(path, "r"), direct: false };
  }
}

/** QEMU opens these two again through /proc/self/fd, so the file's own mode must let its user read; the directories' need not. */
async function openReadable({ images, user }: Launch, image: string): Promise<FileHandle> {
  const path = imagePath(images, image);
  const file = await open(path, "r").catch((error: unknown) => {
    throw unreadable(image, path, error);
  });
  const { mode, uid, gid } = await file.stat();
  const bit = uid === user.uid ? 0o400 : gid === user.gid ? 0o040 : 0o004;
  if ((mode & bit) !== 0) return file;
  await file.close();
  throw unreadable(
    image,
    path,
    `user ${user.uid} must be able to read it, its mode is ${(mode & 0o777).toString(8)}`,
  );
}

function imagePath(images: BoardStart["images"], image: string): string {
  const path = images[image];
  if (path === undefined)
    throw new TwinboardError("board-start-failed", { detail: `the slot holds no ${image}` });
  return path;
}

function unreadable(image: string, path: string, cause: unknown): TwinboardError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new TwinboardError("board-start-failed", { detail: `${image} ${path}: ${why}`, cause });
}

/** Errors: `too-little-memory`, with the figures (proc(5), meminfo, MemAvailable). */
async function requireMemory({ memoryBytes, accelerator }: Launch["machine"]): Promise<void> {
  const neededBytes = memoryBytes + ownBytes + (accelerator === "tcg" ? translationCacheBytes : 0);
  const meminfo = await readFile("/proc/meminfo", "utf8");
  const availableBytes = Number(/^MemAvailable:\s+(\d+) kB$/m.exec(meminfo)?.[1] ?? 0) * 1024;
  if (availableBytes >= neededBytes) return;
  throw new TwinboardError("too-little-memory", {
    detail: `a board needs ${mebibytes(neededBytes)}, and ${mebibytes(availableBytes)} are available`,
  });
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 1024 / 1024)} MiB`;
}

/** Debian's packages of what a board's start needs besides QEMU. */
export const neededPrograms: Readonly<Record<string, string>> = {
  unshare: "util-linux",
  flock: "util-linux",
  taskset: "util-linux",
  setpriv: "util-linux",
  mount: "mount",
  ip: "iproute2",
};
