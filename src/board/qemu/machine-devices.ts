/** Which of the host's devices a machine has, by the kernel's account, and their coming and going while it runs. */
import type { BoardDevice } from "../board.ts";
import type { HotPlug } from "./hot-plug.ts";
import { type MachineProcess, openNodes } from "./machine-process.ts";

export interface MachineDevicesOptions {
  /** The directory of the nodes, with a slash at its end. */
  readonly nodes: string;
  readonly find: () => Promise<MachineProcess | undefined>;
  /** Whether the machine works and may be talked to. */
  readonly isAwake: () => Promise<boolean>;
  /** Errors: `board-not-running`; those of the connection. */
  readonly hotPlug: (signal: AbortSignal) => Promise<HotPlug>;
}

const askTimeoutMs = 1000;

export class MachineDevices {
  readonly #options: MachineDevicesOptions;

  constructor(options: MachineDevicesOptions) {
    this.#options = options;
  }

  async plugged(): Promise<readonly string[]> {
    const { nodes, find, isAwake, hotPlug } = this.#options;
    const machine = await find();
    const open = machine === undefined ? [] : await openNodes(machine.pid, nodes);
    if (open.length === 0 || !(await isAwake())) return open;
    // QEMU keeps the node of a USB device open that it failed to take; if it cannot be asked, what is open counts.
    const signal = AbortSignal.timeout(askTimeoutMs);
    const ids = await hotPlug(signal)
      .then((hotPlug) => hotPlug.ids(signal))
      .catch(() => new Set(open));
    return open.filter((id) => ids.has(id));
  }

  async plug(device: BoardDevice, signal: AbortSignal): Promise<void> {
    const { nodes, hotPlug } = this.#options;
    const machine = await hotPlug(signal);
    const has = (await this.plugged()).includes(device.id);
    await machine.plug(device, nodes + device.id, has, signal);
  }

  async unplug(id: string, signal: AbortSignal): Promise<void> {
    const { find, hotPlug } = this.#options;
    if ((await find()) !== undefined) await (await hotPlug(signal)).unplug(id, signal);
  }
}
