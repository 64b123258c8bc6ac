/** Serial lines and streams as the configuration file writes them, and as the program uses them. */
import { isIP } from "node:net";
import { z } from "zod";
import { absolutePath, choice, duration, mebi, name, section, size, whole } from "./values.ts";

/** What becomes of a line inside the boards. */
const port = choice(["tty", "virtio"], []);
const buffer = size("64KiB", 1024, 16 * mebi);
const onOff = choice(["on", "off"], []);

const serial = section({
  name,
  serial: absolutePath,
  baud: whole(50, 4_000_000).optional(),
  "data-bits": whole(5, 8).optional(),
  parity: choice(["none", "even", "odd"], []).optional(),
  "stop-bits": whole(1, 2).optional(),
  "flow-control": choice(["none", "rts-cts", "xon-xoff"], []).optional(),
  dtr: onOff.optional(),
  rts: onOff.optional(),
  break: duration("250ms", 1, 5000).optional(),
  buffer: buffer.optional(),
  port: port.optional(),
});

const endpointText =
  "expected the absolute path of a unix socket, or an address and a port such as 127.0.0.1:5000 or [::1]:5000";
/** A path, or an address and a port; sun_path of sockaddr_un has 108 bytes with its zero (unix(7)). */
const endpoint = z.string().transform((text, context): LineEndpoint => {
  const [, six, four, port] = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? [];
  const host = six ?? four ?? "";
  if (isIP(host) === (six === undefined ? 4 : 6) && Number(port) >= 1 && Number(port) <= 65_535)
    return { host, port: Number(port) };
  if (/^\/[^\0\n]+$/.test(text) && Buffer.byteLength(text) < 108) return { path: text };
  context.addIssue({ code: "custom", message: endpointText, input: text });
  return z.NEVER;
});

/** A key that means something for the other kind alone. */
function ofSerialOnly(key: string) {
  return z
    .unknown()
    .superRefine((value, context) => {
      if (value !== undefined)
        context.addIssue({ code: "custom", message: `a stream has no ${key}: that is a serial line's` });
    })
    .optional();
}

const stream = section({
  name,
  stream: section({ connect: endpoint.optional(), listen: endpoint.optional() }).superRefine(
    (value, context) => {
      if ((value.connect === undefined) === (value.listen === undefined))
        context.addIssue({ code: "custom", message: "expected exactly one of connect and listen" });
    },
  ),
  buffer: buffer.optional(),
  port: port.optional(),
  baud: ofSerialOnly("baud"),
  "data-bits": ofSerialOnly("data-bits"),
  parity: ofSerialOnly("parity"),
  "stop-bits": ofSerialOnly("stop-bits"),
  "flow-control": ofSerialOnly("flow-control"),
  dtr: ofSerialOnly("dtr"),
  rts: ofSerialOnly("rts"),
  break: ofSerialOnly("break"),
});

export type LineService = z.infer<typeof serial> | z.infer<typeof stream>;

/** By the keys that are there. */
export const lineService = z.record(z.string(), z.unknown()).transform((raw, context): LineService => {
  if ("serial" in raw && "stream" in raw) {
    const message = "expected one of serial and stream";
    context.issues.push({ code: "custom", message, path: ["stream"], input: raw });
    return z.NEVER;
  }
  const result = "serial" in raw ? serial.safeParse(raw) : stream.safeParse(raw);
  if (result.success) return result.data;
  // A finished issue is a raw one with its message; only the types differ.
  for (const issue of result.error.issues)
    context.issues.push({ ...issue, input: raw } as z.core.$ZodRawIssue);
  return z.NEVER;
});

type LineEndpoint = { readonly path: string } | { readonly host: string; readonly port: number };

export interface SerialConfig {
  readonly kind: "serial";
  readonly device: string;
  readonly baud: number;
  readonly dataBits: 5 | 6 | 7 | 8;
  readonly parity: "none" | "even" | "odd";
  readonly stopBits: 1 | 2;
  readonly flowControl: "none" | "rts-cts" | "xon-xoff";
  readonly dtr: boolean;
  readonly rts: boolean;
  /** Of the break that follows a change of the holder; `null`: none. */
  readonly breakMs: number | null;
}

export interface StreamConfig {
  readonly kind: "connect" | "listen";
  readonly endpoint: LineEndpoint;
}

/** A service that is a line: what the broker of the lines and the boards are made from. */
export interface LineConfig {
  readonly name: string;
  readonly outside: SerialConfig | StreamConfig;
  /** Bytes that may wait in each direction. */
  readonly bufferBytes: number;
  /** What the boards see. */
  readonly port: "tty" | "virtio";
}

const defaultBufferBytes = 64 * 1024;

export function isLine(service: object): service is LineService {
  return "serial" in service || "stream" in service;
}

/** Fills in the defaults. */
export function toLine(service: LineService): LineConfig {
  const { name, buffer = defaultBufferBytes, port = "tty" } = service;
  return { name, outside: outsideOf(service), bufferBytes: buffer, port };
}

function outsideOf(service: LineService): LineConfig["outside"] {
  if ("stream" in service) {
    const { connect, listen } = service.stream;
    return connect === undefined
      ? { kind: "listen", endpoint: listen ?? { path: "" } }
      : { kind: "connect", endpoint: connect };
  }
  return {
    kind: "serial",
    device: service.serial,
    baud: service.baud ?? 115_200,
    dataBits: (service["data-bits"] ?? 8) as SerialConfig["dataBits"],
    parity: service.parity ?? "none",
    stopBits: (service["stop-bits"] ?? 1) as SerialConfig["stopBits"],
    flowControl: service["flow-control"] ?? "none",
    dtr: service.dtr !== "off",
    rts: service.rts !== "off",
    breakMs: service.break ?? null,
  };
}
