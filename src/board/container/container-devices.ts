/**
 * Devices that a board is given while it runs: nodes in a directory of the host that the container sees. The board's users can make none
 * that opens, because what they make is on file systems of their user namespace (user_namespaces(7)).
 */
import { chown, mkdir, readdir, readlink, rm, rmdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { TwinboardError } from "../../errors.ts";
import { run } from "../../system/process.ts";
import type { BoardDevice } from "../board.ts";
import type { ContainerGroup } from "./container-group.ts";
import { insidePaths } from "./oci-spec.ts";

const pollMs = 20;

export class ContainerDevices {
  readonly directory: string;
  readonly #nodeOf: (id: string) => string;
  readonly #firstId: number;
  readonly #group: ContainerGroup;

  constructor(options: {
    readonly directory: string;
    readonly nodeOf: (id: string) => string;
    readonly firstId: number;
    readonly group: ContainerGroup;
  }) {
    this.directory = options.directory;
    this.#nodeOf = options.nodeOf;
    this.#firstId = options.firstId;
    this.#group = options.group;
  }

  /** Empty, for a board that starts. Repeatable. */
  async setUp(): Promise<void> {
    await mkdir(this.directory, { recursive: true, mode: 0o755 });
    for (const id of await this.ids()) await rm(join(this.directory, id));
  }

  /** Repeatable. */
  async tearDown(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
    await rmdir(join(this.directory, "..")).catch(() => undefined);
  }

  async ids(): Promise<string[]> {
    return await readdir(this.directory).catch(() => []);
  }

  /** Repeatable. Errors: `command-failed`. */
  async add({ id }: BoardDevice, signal: AbortSignal): Promise<void> {
    const found = await stat(this.#nodeOf(id)).catch(() => undefined);
    if (found === undefined || !(found.isBlockDevice() || found.isCharacterDevice()))
      throw new TwinboardError("command-failed", { detail: `${this.#nodeOf(id)} is no device` });
    const path = join(this.directory, id);
    const before = await stat(path).catch(() => undefined);
    if (before?.rdev === found.rdev) return;
    await rm(path, { force: true });
    const [major, minor] = numbersOf(found.rdev);
    const type = found.isBlockDevice() ? "b" : "c";
    await run("mknod", ["-m", "0600", path, type, major, minor], { signal });
    await chown(path, this.#firstId, this.#firstId);
  }

  /** Takes the node away, and resolves when nobody in the board has it open any more. Repeatable. Errors: the signal's reason. */
  async remove(id: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await rm(join(this.directory, id), { force: true });
    while (await this.#isOpen(`${insidePaths.devices}/${id}`)) await sleep(pollMs, undefined, { signal });
  }

  /** By its name in the container, with or without the mark of a file that was removed (proc(5), /proc/PID/fd). */
  async #isOpen(path: string): Promise<boolean> {
    const open = (await this.#group.processes()).map(async (pid) => {
      const fds = await readdir(`/proc/${pid}/fd`).catch(() => []);
      const targets = fds.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => ""));
      return (await Promise.all(targets)).some((target) =>
        target.replace(/ \(deleted\)$/, "").endsWith(path),
      );
    });
    return (await Promise.all(open)).includes(true);
  }
}

/** In decimal (makedev(3)). */
function numbersOf(rdev: number): [major: string, minor: string] {
  const number = BigInt(rdev);
  const major = ((number >> 8n) & 0xfffn) | ((number >> 32n) & ~0xfffn);
  const minor = (number & 0xffn) | ((number >> 12n) & ~0xffn);
  return [String(major), String(minor)];
}
