/**
 * The node by which a board's process opens a device of the host: one of our own, below /dev, the same for both boards, so that QEMU's
 * lock on a disk holds between them. The host's own node, its owner and its mode stay as they are. Ours is root's, and opens for nobody;
 * while a board is being given the device, for the group of the boards' processes. An owner could open it for himself at any time.
 */
import { chmod, chown, mkdir, rm, rmdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { TwinboardError } from "../../errors.ts";
import { run } from "../../system/process.ts";
import { type HostDevice, numbersOf } from "./host-device.ts";

const groupMode = 0o060;

export class DeviceNode {
  readonly #path: string;
  readonly #gid: number;

  /** @param gid the group that boards' processes run as. */
  constructor(path: string, gid: number) {
    this.#path = path;
    this.#gid = gid;
  }

  /** Repeatable. Errors: `need-root`. */
  async makeDirectory(): Promise<void> {
    try {
      await mkdir(dirname(this.#path), { recursive: true, mode: 0o755 });
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      if (code !== "EACCES" && code !== "EPERM") throw cause;
      throw new TwinboardError("need-root", { detail: message, cause });
    }
  }

  /** The node is that of the device, and opens while `work` is done. Errors: `command-failed`, those of `work`. */
  async whileOpen(device: HostDevice, work: () => Promise<void>): Promise<void> {
    await this.#make(device);
    await chmod(this.#path, groupMode);
    try {
      await work();
    } finally {
      await chmod(this.#path, 0);
    }
  }

  /** Also of the directories, once they are empty. Repeatable. */
  async remove(): Promise<void> {
    await rm(this.#path, { force: true });
    const directory = dirname(this.#path);
    for (const each of [directory, dirname(directory)]) await rmdir(each).catch(() => undefined);
  }

  async #make({ type, major, minor }: HostDevice): Promise<void> {
    const found = await stat(this.#path, { bigint: true }).catch(() => undefined);
    const is = found === undefined ? undefined : numbersOf(found.rdev);
    const right = type === "b" ? found?.isBlockDevice() : found?.isCharacterDevice();
    if (right !== true || is?.major !== major || is.minor !== minor) {
      // Whoever still has the old one open has it no more by this name.
      await rm(this.#path, { force: true });
      await this.makeDirectory();
      await run("mknod", ["-m", "0", this.#path, type, String(major), String(minor)]);
    }
    await chown(this.#path, 0, this.#gid);
  }
}
