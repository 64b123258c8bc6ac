/**
 * The configuration file as people write it: every key that exists, and what it may hold.
 * Keys of later versions are known here, and choosing one is refused by name: nothing is accepted that would not be done.
 */
import { z } from "zod";
import { addressAt, isAddress, parsePrefix, unfitness } from "./network-address.ts";
import { suggestion } from "./suggestion.ts";
import { parseDurationMs, parseSizeBytes } from "./units.ts";

const notYet = "not supported by this version";

/** A mapping that takes these keys only. Its message for unknown keys has one line a key, in the order of `issue.keys`. */
function section<Shape extends z.ZodRawShape>(shape: Shape) {
  const allowed = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === "unrecognized_keys"
        ? issue.keys.map((key) => unknownKey(key, allowed)).join("\n")
        : undefined,
  });
}

function unknownKey(key: string, allowed: readonly string[]): string {
  const meant = suggestion(key, allowed);
  return `unknown key${meant === undefined ? "" : `, did you mean ${meant}?`} (allowed here: ${allowed.join(", ")})`;
}

/** A key or value that a later version will accept. */
function later(what: string) {
  return z.unknown().superRefine((value, context) => {
    if (value !== undefined) context.addIssue({ code: "custom", message: `${what} is ${notYet}` });
  });
}

/** One of `now`; each of `planned` is refused by name. */
function choice<const Now extends readonly string[]>(now: Now, planned: readonly string[]) {
  return z.enum(now, {
    error: ({ input }) =>
      planned.includes(String(input))
        ? `${String(input)} is ${notYet} (allowed: ${now.join(", ")})`
        : `expected one of ${now.join(", ")}`,
  });
}

function measured(parse: (text: string) => number | undefined, what: string, least: number, most: number) {
  return z.unknown().transform((value, context) => {
    const parsed = typeof value === "string" ? parse(value) : undefined;
    if (parsed !== undefined && parsed >= least && parsed <= most) return parsed;
    context.addIssue({ code: "custom", message: `expected ${what}`, input: value });
    return z.NEVER;
  });
}

const hourMs = 3_600_000;
const duration = (example: string, leastMs = 1, mostMs = hourMs) =>
  measured(
    parseDurationMs,
    `a duration of ${leastMs} ms to ${mostMs / 1000} s with its unit (ms, s, m, h), such as ${example}`,
    leastMs,
    mostMs,
  );
const size = (example: string, leastBytes: number, mostBytes: number) =>
  measured(
    parseSizeBytes,
    `a size of ${leastBytes / 1024 ** 2} MiB to ${mostBytes / 1024 ** 2} MiB with its unit (KiB, MiB, GiB), such as ${example}`,
    leastBytes,
    mostBytes,
  );

const whole = (least: number, most: number) => {
  const message = `expected a whole number from ${least} to ${most}`;
  return z.int(message).min(least, message).max(most, message);
};
const port = whole(1, 65_535);
/** Names become parts of paths, of rules' comments and of kernel arguments. */
const name = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,31}$/, "expected a letter a-z, then at most 31 of a-z, 0-9 and -");
const absolutePath = z.string().regex(/^\/[^\0\n]{1,4095}$/, "expected an absolute path");
/** Interface names as the kernel takes them (dev_valid_name in net/core/dev.c, IFNAMSIZ). */
const card = z
  .string()
  .regex(/^[^\s/:]{1,15}$/, "expected the name of a network card, at most 15 characters, see ip link")
  .refine((text) => text !== "." && text !== "..", "expected the name of a network card, see ip link");

const serviceAddress = z.string().superRefine((text, context) => {
  const what = isAddress(text) ? unfitness(text) : "no address";
  if (what === undefined) return;
  const message =
    what === "no address"
      ? "expected an IPv4 or IPv6 address without a prefix, such as 198.51.100.10 or 2001:db8::10"
      : `${text} is ${what}: expected one that clients outside can reach`;
  context.addIssue({ code: "custom", message });
});

const networkService = section({
  name,
  protocol: choice(["tcp"], ["udp"]),
  address: serviceAddress,
  port,
  "inside-port": port.optional(),
  drain: duration("30s", 0).optional(),
  quiet: duration("1s", 0).optional(),
  flows: later("flows").optional(),
});

const execService = section({
  name,
  exec: z
    .tuple(
      [absolutePath],
      z.string().regex(/^[^\0]{0,4095}$/, "expected text without NUL"),
      "expected a list: the absolute path of a program, then its arguments",
    )
    .refine((words) => words.length <= 64, "expected at most 64 words"),
  timeout: duration("5s", 100, 60_000).optional(),
  drain: duration("30s", 0).optional(),
});

/** As the kernel names a port in /sys/bus/usb/devices, or vendor and product as lsusb prints them. */
const usbDevice = z
  .string()
  .regex(
    /^([0-9a-fA-F]{4}:[0-9a-fA-F]{4}|[1-9]\d{0,2}-[1-9]\d{0,2}(\.[1-9]\d{0,2}){0,5})$/,
    'expected vendor and product, such as "0403:6001", or a port, such as "1-1.4"',
  );

const deviceService = section({
  // Within the machine, QEMU takes 31 characters of a disk's name.
  name: name.max(24, "expected at most 24 characters"),
  device: section({ "virtio-blk": absolutePath.optional(), usb: usbDevice.optional() }).superRefine(
    (value, context) => {
      if ((value["virtio-blk"] === undefined) === (value.usb === undefined))
        context.addIssue({ code: "custom", message: "expected exactly one of virtio-blk and usb" });
    },
  ),
  timeout: duration("5s", 100, 60_000).optional(),
});

const canService = section({ name, can: card, fd: z.boolean("expected true or false").optional() });

const serialService = section({ name, serial: later("serial"), baud: z.unknown().optional() });

/** The key that makes a service one of another kind than a network's. */
const otherServices = { exec: execService, device: deviceService, can: canService } as const;

/** Chooses the schema by the keys that are there, so that a serial line is not told that it lacks a port. */
const service = z.record(z.string(), z.unknown()).transform((raw, context) => {
  const kind = (["exec", "device", "can"] as const).find((key) => key in raw);
  const result =
    kind !== undefined
      ? otherServices[kind].safeParse(raw)
      : "serial" in raw
        ? serialService.safeParse(raw)
        : networkService.safeParse(raw);
  if (result.success && !("serial" in result.data)) return result.data;
  // A finished issue is a raw one with its message; only the types differ.
  for (const issue of result.error?.issues ?? [])
    context.issues.push({ ...issue, input: raw } as z.core.$ZodRawIssue);
  return z.NEVER;
});

const httpTarget = z
  .string()
  .regex(/^:[1-9]\d{0,4}\/[\x21-\x7e]{0,1023}$/, "expected a port and a path, such as :80/healthz")
  .refine(
    (text) => Number.parseInt(text.slice(1), 10) <= 65_535,
    "expected a port from 1 to 65535 before the path",
  );
const tcpTarget = z
  .string()
  .regex(/^:[1-9]\d{0,4}$/, "expected a port, such as :5432")
  .refine((text) => Number(text.slice(1)) <= 65_535, "expected a port from 1 to 65535");

const check = section({
  name,
  http: httpTarget.optional(),
  tcp: tcpTarget.optional(),
  interval: duration("200ms", 10).optional(),
  timeout: duration("1s", 10).optional(),
  failures: whole(1, 1000).optional(),
}).superRefine((value, context) => {
  if ((value.http === undefined) === (value.tcp === undefined))
    context.addIssue({ code: "custom", message: "expected exactly one of http and tcp" });
});

const cores = z
  .array(whole(0, 4095), "expected a list of core numbers, such as [1]")
  .min(1, "expected at least one core");

/** /29 is the smallest prefix with addresses for the host and both boards beside the network's own and the broadcast. */
const boardsPrefix = z.string().refine((text) => {
  const prefix = parsePrefix(text);
  return prefix?.family === 4 && prefix.length >= 8 && prefix.length <= 29;
}, "expected an IPv4 prefix of /8 to /29 that begins at its first address, such as 10.231.0.0/29");

/** In IPv6 every address is a host's but the first, which is any router's (RFC 4291, section 2.6.1). */
const boards6Prefix = z.string().refine((text) => {
  const prefix = parsePrefix(text);
  return (
    prefix?.family === 6 &&
    prefix.length >= 16 &&
    prefix.length <= 126 &&
    unfitness(addressAt(prefix, 1)) === undefined
  );
}, "expected an IPv6 prefix of /16 to /126 that begins at its first address, such as fd5c:9a1e:7b42::/64");

/** YAML reads 0x00ffffff as a number. */
const markMask = z
  .int("expected a mask of 32 bits, such as 0x00ffffff")
  .min(1, "expected a mask of 32 bits, such as 0x00ffffff")
  .max(0xffff_ffff, "expected a mask of 32 bits, such as 0x00ffffff");

const mebi = 1024 ** 2;

export const documentSchema = section({
  system: name,
  compatible: z.string().regex(/^[\x21-\x7e]{1,128}$/, "expected 1 to 128 visible ASCII characters"),
  "state-directory": absolutePath.optional(),
  trust: section({
    keyring: z.string().min(1, "expected the path of a PEM file"),
    "bundle-formats": z
      .array(choice(["verity"], ["plain", "crypt"]))
      .min(1, "expected at least one format")
      .optional(),
    crl: later("crl").optional(),
    "allowed-signers": later("allowed-signers").optional(),
    "key-purpose": later("key-purpose").optional(),
  }),
  boards: section({
    kind: choice(["qemu"], ["container"]).optional(),
    accelerator: choice(["auto", "kvm", "tcg"], []).optional(),
    memory: size("256MiB", 32 * mebi, 1024 * 1024 * mebi),
    cpus: whole(1, 64).optional(),
    user: z
      .string()
      .regex(/^[a-z_][a-z0-9_-]{0,31}$/, "expected the name of a system user")
      .optional(),
    watchdog: duration("30s", 2000).optional(),
    slots: section({
      size: size("1GiB", mebi, 1024 * 1024 * mebi).optional(),
      a: later("a slot of one's own choice").optional(),
      b: later("a slot of one's own choice").optional(),
    }).optional(),
  }),
  placement: section({ cores: section({ a: cores.optional(), b: cores.optional() }).optional() }).optional(),
  network: section({
    mode: choice(["routed"], ["bridged", "two-cards"]).optional(),
    uplink: card,
    uplinks: later("uplinks").optional(),
    boards: boardsPrefix.optional(),
    boards6: boards6Prefix.optional(),
    "mark-mask": markMask.optional(),
  }),
  services: z
    .array(service)
    .min(1, "expected at least one service")
    .max(255, "expected at most 255 services"),
  state: section({
    "hand-over": z.literal(false, `state hand-over is ${notYet}`).optional(),
    deadline: later("state deadline").optional(),
  }).optional(),
  health: z.array(check).max(64, "expected at most 64 checks").optional(),
  upgrade: section({
    "boot-timeout": duration("120s", 100).optional(),
    "verify-timeout": duration("60s", 100).optional(),
    probation: duration("60s", 0, 24 * hourMs).optional(),
    attempts: whole(1, 10).optional(),
  }).optional(),
  failover: z.boolean("expected true or false").optional(),
  api: section({ listen: later("listen").optional() }).optional(),
});

/** The file's content after parsing: the file's own keys, values in milliseconds and bytes. */
export type ConfigDocument = z.infer<typeof documentSchema>;
