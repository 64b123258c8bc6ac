/** Starts a board's container so that it outlives the daemon, in its control group and its network. */
import { spawn } from "node:child_process";
import { access, constants, type FileHandle, mkdir, open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { TwinboardError } from "../../errors.ts";
import type { BoardStart } from "../board.ts";
import { consoleHardLimitBytes } from "../console.ts";
import { launchScript, recordFiles, scriptArguments } from "./launch-script.ts";
import { type Container, ociSpec } from "./oci-spec.ts";
import type { RuntimeName } from "./runtime.ts";

export const neededPrograms = {
  cut: "coreutils",
  flock: "util-linux",
  ip: "iproute2",
  mount: "mount",
  nsenter: "util-linux",
  sed: "sed",
  socat: "socat",
  tc: "iproute2",
  unshare: "util-linux",
  unsquashfs: "squashfs-tools",
} as const;

export interface ContainerLaunch {
  readonly container: Container;
  readonly id: string;
  readonly instance: string;
  readonly runtime: RuntimeName;
  readonly images: BoardStart["images"];
  /** Exists. */
  readonly records: string;
  /** A directory for nodes of devices; exists. */
  readonly devices: string;
  readonly namespace: string;
  /** Directory of the board's control group for processor shares, if the host has one. */
  readonly groupPath: string | undefined;
  readonly console: FileHandle;
  readonly stderrPath: string;
  readonly way: "mount" | "unpack";
}

/** Of a board's memory, what its root file system may take of it: the part that the board has written. */
const upperShare = 2;

/** Starts it and returns its exit: the code if it ends while the daemon lives. Errors: `board-start-failed` (no image that can be read). */
export async function launch(options: ContainerLaunch): Promise<{ readonly exit: Promise<number | null> }> {
  const { container, images, records, namespace } = options;
  const image = images["rootfs"];
  if (image === undefined)
    throw new TwinboardError("board-start-failed", { detail: "there is no rootfs image" });
  await access(image, constants.R_OK).catch((cause: Error) => {
    throw new TwinboardError("board-start-failed", { detail: `rootfs: ${cause.message}`, cause });
  });
  const bundle = join(records, recordFiles.bundle);
  await mkdir(bundle, { recursive: true, mode: 0o700 });
  await writeFile(join(bundle, "config.json"), JSON.stringify(ociSpec(container), null, 1), { mode: 0o600 });
  const stderr = await open(options.stderrPath, "w", 0o600);
  try {
    const words = scriptArguments({
      runtime: options.runtime,
      id: options.id,
      instance: options.instance,
      image,
      firstId: container.firstId,
      upperBytes: Math.floor(container.memoryBytes / upperShare),
      unpackedBytes: container.memoryBytes,
      groupPath: options.groupPath ?? "",
      fileBlocks: consoleHardLimitBytes / 512,
      devices: options.devices,
      way: options.way,
    });
    const command = ["unshare", "-m", "--propagation", "private", "sh", "-c", launchScript, "sh", ...words];
    const child = spawn("nsenter", [`--net=/run/netns/${namespace}`, "--", ...command], {
      cwd: records,
      detached: true,
      stdio: ["ignore", "ignore", stderr.fd, options.console.fd],
    });
    const exit = new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", resolve);
    });
    exit.catch(() => undefined);
    child.unref();
    return { exit };
  } finally {
    await stderr.close();
  }
}
