/** Services that are not traffic of the network: the integrator's programs, devices of the host, CAN buses. */
import type { ConfigDocument } from "./schema.ts";

export interface ExecConfig {
  readonly name: string;
  /** Absolute path of the program, and its first arguments. */
  readonly exec: readonly string[];
  readonly timeoutMs: number;
  readonly drainMs: number;
}

export interface DeviceConfig {
  readonly name: string;
  readonly device:
    | { readonly kind: "disk"; readonly path: string }
    | {
        readonly kind: "usb";
        readonly is: { readonly vendor: string; readonly product: string } | { readonly port: string };
      };
  /** How long a board may take to let go of it. */
  readonly timeoutMs: number;
}

export interface CanConfig {
  readonly name: string;
  /** The card of the bus. */
  readonly bus: string;
  readonly fd: boolean;
}

export interface LeasedConfig {
  readonly execs: readonly ExecConfig[];
  readonly devices: readonly DeviceConfig[];
  readonly cans: readonly CanConfig[];
}

const defaultTimeoutMs = 5000;

/** Fills in the defaults. */
export function toLeasedConfig(services: ConfigDocument["services"]): LeasedConfig {
  return {
    execs: services
      .filter((service) => "exec" in service)
      .map(({ name, exec, timeout = defaultTimeoutMs, drain = 30_000 }) => ({
        name,
        exec,
        timeoutMs: timeout,
        drainMs: drain,
      })),
    devices: services
      .filter((service) => "device" in service)
      .map(({ name, device, timeout = defaultTimeoutMs }) => ({
        name,
        device: deviceOf(device),
        timeoutMs: timeout,
      })),
    cans: services
      .filter((service) => "can" in service)
      .map(({ name, can, fd = false }) => ({ name, bus: can, fd })),
  };
}

function deviceOf(device: {
  readonly "virtio-blk"?: string | undefined;
  readonly usb?: string | undefined;
}): DeviceConfig["device"] {
  if (device["virtio-blk"] !== undefined) return { kind: "disk", path: device["virtio-blk"] };
  // sysfs has lower case alone.
  const usb = device.usb?.toLowerCase() ?? "";
  const [vendor = "", product] = usb.split(":");
  return { kind: "usb", is: product === undefined ? { port: usb } : { vendor, product } };
}
