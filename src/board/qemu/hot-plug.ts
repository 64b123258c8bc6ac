/**
 * Devices that a running machine is given and that are taken from it, by QMP (`device_add`, `blockdev-add` and their opposites). A disk
 * sits in a PCI Express port: taking it away asks the guest, which lets go of it when its driver has (`DEVICE_DELETED`). A USB
 * device is simply pulled. QEMU locks a disk that it opens: as long as one machine has it, no other gets it.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { orAborted } from "../../system/abort.ts";
import type { BoardDevice } from "../board.ts";
import { portOf, usbBus } from "./command-line.ts";
import type { QmpEvent } from "./qmp.ts";

type Execute = (
  command: string,
  args: Readonly<Record<string, unknown>> | undefined,
  signal: AbortSignal,
) => Promise<unknown>;

/** Devices and disks have names that no others in the machine have; QEMU takes 31 characters of a disk's. */
const prefix = "plug-";

/** A guest that was just booting when it was asked is asked again. */
const askEveryMs = 1000;
/** QEMU closes a disk a moment after the device is gone. */
const closePollMs = 5;

export class HotPlug {
  readonly #execute: Execute;
  readonly #gone = new Map<string, Set<() => void>>();

  constructor(execute: Execute) {
    this.#execute = execute;
  }

  hear({ event, data }: QmpEvent): void {
    const { device } = data;
    if (event === "DEVICE_DELETED" && typeof device === "string")
      for (const resolve of this.#gone.get(device.slice(prefix.length)) ?? []) resolve();
  }

  /** Ids of devices that the machine has, and of disks that are no device's yet or any more. */
  async ids(signal: AbortSignal): Promise<ReadonlySet<string>> {
    return new Set([...(await this.#devices(signal)), ...(await this.#disks(signal))]);
  }

  /** Repeatable. @param open whether QEMU has the node open. Errors: `command-failed`, `board-died`; the signal's reason. */
  async plug({ id, kind }: BoardDevice, node: string, open: boolean, signal: AbortSignal): Promise<void> {
    if ((await this.#devices(signal)).includes(id)) {
      if (open) return;
      // What it stood for was pulled from the host, and may be another by now.
      await this.unplug(id, signal);
    }
    const name = prefix + id;
    if (kind === "usb") {
      const device = { driver: "usb-host", id: name, bus: usbBus, hostdevice: node };
      await this.#execute("device_add", device, signal);
      return;
    }
    await this.#closeDisk(id, signal);
    const file = { driver: "host_device", filename: node, aio: "native", cache: { direct: true } };
    await this.#execute("blockdev-add", { ...file, "node-name": name }, signal);
    try {
      const device = { driver: "virtio-blk-pci", id: name, bus: portOf(id), drive: name, serial: id };
      await this.#execute("device_add", { ...device, werror: "report", rerror: "report" }, signal);
    } catch (error) {
      await this.#closeDisk(id, signal);
      throw error;
    }
  }

  /** Repeatable. Errors: `command-failed`, `board-died`; the signal's reason. */
  async unplug(id: string, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = this.#gone.get(id) ?? new Set();
    this.#gone.set(id, waiting.add(resolve));
    try {
      while ((await this.#devices(signal)).includes(id)) {
        // While the guest is being asked already, QEMU refuses to ask it again.
        await this.#execute("device_del", { id: prefix + id }, signal).catch(() => signal.throwIfAborted());
        await orAborted(Promise.race([promise, sleep(askEveryMs, undefined, { ref: false })]), signal);
      }
    } finally {
      waiting.delete(resolve);
    }
    await this.#closeDisk(id, signal);
  }

  async #devices(signal: AbortSignal): Promise<string[]> {
    const found = await this.#execute("qom-list", { path: "/machine/peripheral" }, signal);
    return ours((found as { name?: unknown }[]).map(({ name }) => name));
  }

  async #disks(signal: AbortSignal): Promise<string[]> {
    const found = await this.#execute("query-named-block-nodes", { flat: true }, signal);
    return ours((found as { "node-name"?: unknown }[]).map(({ "node-name": name }) => name));
  }

  async #closeDisk(id: string, signal: AbortSignal): Promise<void> {
    while ((await this.#disks(signal)).includes(id)) {
      const refused = await this.#execute("blockdev-del", { "node-name": prefix + id }, signal).then(
        () => false,
        () => true,
      );
      if (refused) await sleep(closePollMs, undefined, { signal });
    }
  }
}

function ours(names: readonly unknown[]): string[] {
  return names
    .filter((name) => typeof name === "string" && name.startsWith(prefix))
    .map((name) => String(name).slice(prefix.length));
}
