/** Starts a board's container so that it outlives the daemon, in its control group and its network. */
import { spawn } from "node:child_process";
import { access, constants, type FileHandle, mkdir, open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { TwinboardError } from "../../errors.ts";
import { coreListText } from "../../system/core-list.ts";
import { killKin } from "../../system/process-kin.ts";
import type { BoardStart } from "../board.ts";
import { consoleHardLimitBytes } from "../console.ts";
import type { ContainerGroup } from "./container-group.ts";
import type { ContainerGroups } from "./container-groups.ts";
import type { ContainerBoardOptions } from "./container-options.ts";
import { fromTop } from "./group-entry.ts";
import { groupsObstacle } from "./groups-obstacle.ts";
import { launchScript, recordFiles, scriptArguments } from "./launch-script.ts";
import { ociSpec } from "./oci-spec.ts";

export const neededPrograms = {
  cut: "coreutils",
  flock: "util-linux",
  ip: "iproute2",
  mount: "mount",
  nsenter: "util-linux",
  sed: "sed",
  socat: "socat",
  taskset: "util-linux",
  tc: "iproute2",
  unshare: "util-linux",
  unsquashfs: "squashfs-tools",
} as const;

export interface ContainerLaunch {
  readonly board: ContainerBoardOptions;
  readonly start: BoardStart;
  readonly id: string;
  /** The first of the host's user and group ids that the board's ids are. */
  readonly firstId: number;
  readonly group: ContainerGroup;
  /** Made. */
  readonly groups: ContainerGroups;
  /** Cores that it is to have; empty: all. */
  readonly cores: readonly number[];
  /** Exists. */
  readonly records: string;
  /** A directory for nodes of devices; exists. */
  readonly devices: string;
  readonly namespace: string;
  readonly console: FileHandle;
  readonly stderrPath: string;
}

/** Of a board's memory, what its root file system may take of it: the part that the board has written. */
const upperShare = 2;

export interface LaunchedContainer {
  /** Of the launch script: the code, or what ended it, if it ends while the daemon lives. */
  readonly exit: Promise<number | NodeJS.Signals>;
  /** Kills the script and all that it has begun, also before it is in the board's groups and can be found there. Repeatable. */
  readonly end: () => Promise<void>;
}

const killTimeoutMs = 2000;

/** Starts it. Errors: `board-start-failed` (no image that can be read), `cgroup-unwritable`, `missing-kernel-feature`. */
export async function launch(options: ContainerLaunch): Promise<LaunchedContainer> {
  const { board, start, group, groups, records, namespace } = options;
  const obstacle = await groupsObstacle();
  if (obstacle !== undefined) throw obstacle;
  const image = start.images["rootfs"];
  if (image === undefined)
    throw new TwinboardError("board-start-failed", { detail: "there is no rootfs image" });
  await access(image, constants.R_OK).catch((cause: Error) => {
    throw new TwinboardError("board-start-failed", { detail: `rootfs: ${cause.message}`, cause });
  });
  const bounded = await group.hasCores();
  const top = await group.top();
  const spec = ociSpec({
    ...board,
    watchdogMs: board.watchdogMs,
    kernelArguments: start.kernelArguments,
    firstId: options.firstId,
    groupPath: await group.pathForRuntime(),
    cores: bounded ? options.cores : [],
    memoryHome: groups.memoryHome,
  });
  const bundle = join(records, recordFiles.bundle);
  await mkdir(bundle, { recursive: true, mode: 0o700 });
  await writeFile(join(bundle, "config.json"), JSON.stringify(spec, null, 1), { mode: 0o600 });
  const stderr = await open(options.stderrPath, "w", 0o600);
  try {
    const words = scriptArguments({
      runtime: board.runtime,
      id: options.id,
      instance: start.instance,
      image,
      firstId: options.firstId,
      upperBytes: Math.floor(board.memoryBytes / upperShare),
      unpackedBytes: board.memoryBytes,
      groupPaths: (await groups.helperPaths()).join(":"),
      fileBlocks: consoleHardLimitBytes / 512,
      devices: options.devices,
      way: board.rootfs ?? "mount",
      cores: bounded ? "" : coreListText(options.cores),
      groupTree: top === undefined ? "" : "own",
    });
    const own = ["unshare", "-m", "--propagation", "private", ...(top === undefined ? [] : ["-C"])];
    const script = [...own, "sh", "-c", launchScript, "sh", ...words];
    const command = ["nsenter", `--net=/run/netns/${namespace}`, "--", ...script];
    const [program = "", ...rest] = top === undefined ? command : fromTop(top, command);
    const child = spawn(program, rest, {
      cwd: records,
      detached: true,
      stdio: ["ignore", "ignore", stderr.fd, options.console.fd],
    });
    const exit = new Promise<number | NodeJS.Signals>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code, signal) => resolve(code ?? signal ?? "SIGKILL"));
    });
    exit.catch(() => undefined);
    child.unref();
    const { pid } = child;
    // It leads a session. Once it was waited for, its id may be another's.
    const end = async (): Promise<void> => {
      const runs = child.exitCode === null && child.signalCode === null;
      if (pid !== undefined && runs) await killKin([pid], killTimeoutMs);
    };
    return { exit, end };
  } finally {
    await stderr.close();
  }
}
