/** What a line is, as the broker is told: pure data, out of the configuration. */
import { TwinboardError } from "../../errors.ts";

export interface SerialSpec {
  readonly kind: "serial";
  /** Absolute path of a tty. */
  readonly device: string;
  readonly baud: number;
  readonly dataBits: 5 | 6 | 7 | 8;
  readonly parity: "none" | "even" | "odd";
  readonly stopBits: 1 | 2;
  readonly flowControl: "none" | "rts-cts" | "xon-xoff";
  readonly dtr: boolean;
  readonly rts: boolean;
  /** Length of the break that tells the other side of a new holder; `null`: none. */
  readonly breakMs: number | null;
}

/** A unix socket, or an IPv4 or IPv6 address and port. */
export type Endpoint = { readonly path: string } | { readonly host: string; readonly port: number };

export interface StreamSpec {
  /** Whether the broker goes there, or is called there. */
  readonly kind: "connect" | "listen";
  readonly endpoint: Endpoint;
}

export interface LineSpec {
  readonly name: string;
  readonly outside: SerialSpec | StreamSpec;
  /** Bytes that may wait in each direction. */
  readonly bufferBytes: number;
}

export function endpointText(endpoint: Endpoint): string {
  if ("path" in endpoint) return endpoint.path;
  const { host, port } = endpoint;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** What another version may have sent. Errors: `request-invalid`. */
export function readSpec(value: unknown): LineSpec {
  const { name, outside, bufferBytes } = Object(value) as Partial<LineSpec>;
  const known = ["serial", "connect", "listen"].includes((Object(outside) as LineSpec["outside"]).kind);
  const bounded = typeof bufferBytes === "number" && bufferBytes > 0;
  if (typeof name === "string" && isName(name) && outside !== undefined && known && bounded)
    return { name, outside, bufferBytes };
  throw new TwinboardError("request-invalid", { detail: `this broker knows no such line: ${told(value)}` });
}

/** It becomes part of a path. */
function isName(name: string): boolean {
  return /^[a-z][a-z0-9-]{0,31}$/.test(name);
}

function told(value: unknown): string {
  return (JSON.stringify(value) ?? "nothing").slice(0, 200);
}
