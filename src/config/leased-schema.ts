/** Services that are the integrator's programs, devices of the host or CAN buses: as the configuration file writes them, and as the program uses them. */
import { z } from "zod";
import { absolutePath, card, duration, name, section } from "./values.ts";

const timeout = duration("5s", 100, 60_000);

const exec = section({
  name,
  exec: z
    .tuple(
      [absolutePath],
      z.string().regex(/^[^\0]{0,4095}$/, "expected text without NUL"),
      "expected a list: the absolute path of a program, then its arguments",
    )
    .refine((words) => words.length <= 64, "expected at most 64 words"),
  timeout: timeout.optional(),
  drain: duration("30s", 0).optional(),
});

/** As the kernel names a port in /sys/bus/usb/devices, or vendor and product as lsusb prints them. */
const usb = z
  .string()
  .regex(
    /^([0-9a-fA-F]{4}:[0-9a-fA-F]{4}|[1-9]\d{0,2}-[1-9]\d{0,2}(\.[1-9]\d{0,2}){0,5})$/,
    'expected vendor and product, such as "0403:6001", or a port, such as "1-1.4"',
  );

const device = section({
  // Within the machine, QEMU takes 31 characters of a disk's name.
  name: name.max(24, "expected at most 24 characters"),
  device: section({ "virtio-blk": absolutePath.optional(), usb: usb.optional() }).superRefine(
    (value, context) => {
      if ((value["virtio-blk"] === undefined) === (value.usb === undefined))
        context.addIssue({ code: "custom", message: "expected exactly one of virtio-blk and usb" });
    },
  ),
  timeout: timeout.optional(),
});

const can = section({ name, can: card, fd: z.boolean("expected true or false").optional() });

const kinds = { exec, device, can } as const;
const keys = ["exec", "device", "can"] as const;

export type LeasedService = z.infer<typeof exec> | z.infer<typeof device> | z.infer<typeof can>;

/** By the key that is there. */
export const leasedService = z.record(z.string(), z.unknown()).transform((raw, context): LeasedService => {
  const result = kinds[keys.find((key) => key in raw) ?? "exec"].safeParse(raw);
  if (result.success) return result.data;
  // A finished issue is a raw one with its message; only the types differ.
  for (const issue of result.error.issues)
    context.issues.push({ ...issue, input: raw } as z.core.$ZodRawIssue);
  return z.NEVER;
});

export function isLeased(service: object): service is LeasedService {
  return keys.some((key) => key in service);
}

interface ExecConfig {
  readonly name: string;
  /** Absolute path of the program, and its first arguments. */
  readonly exec: readonly string[];
  readonly timeoutMs: number;
  readonly drainMs: number;
}

interface DeviceConfig {
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

interface CanConfig {
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
export function toLeased(services: readonly LeasedService[]): LeasedConfig {
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

function deviceOf({
  "virtio-blk": path,
  usb = "",
}: z.infer<typeof device>["device"]): DeviceConfig["device"] {
  if (path !== undefined) return { kind: "disk", path };
  // sysfs has lower case alone.
  const is = usb.toLowerCase();
  const [vendor = "", product] = is.split(":");
  return { kind: "usb", is: product === undefined ? { port: is } : { vendor, product } };
}
