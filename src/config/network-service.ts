/** Services of mode `routed` as people write them, and as the program uses them. */
import { z } from "zod";
import { canonical, isAddress, unfitness } from "./network-address.ts";
import { choice, duration, name, port, section } from "./values.ts";

export const serviceAddress = z.string().superRefine((text, context) => {
  const what = isAddress(text) ? unfitness(text) : "no address";
  if (what === undefined) return;
  const message =
    what === "no address"
      ? "expected an IPv4 or IPv6 address without a prefix, such as 198.51.100.10 or 2001:db8::10"
      : `${text} is ${what}: expected one that clients outside can reach`;
  context.addIssue({ code: "custom", message });
});

function isPort(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= 65_535;
}

/** One port, or the first and the last of a range. */
const ports = z.unknown().transform((value, context): { readonly first: number; readonly last: number } => {
  const [, first, last] = /^(\d{1,5})-(\d{1,5})$/.exec(String(value)) ?? [];
  const range =
    first === undefined
      ? { first: Number(value), last: Number(value) }
      : { first: Number(first), last: Number(last) };
  const written = typeof value === "number" || (typeof value === "string" && first !== undefined);
  if (written && isPort(range.first) && isPort(range.last) && range.first <= range.last) return range;
  const message = "expected a port from 1 to 65535, or a range such as 10000-10100";
  context.addIssue({ code: "custom", message, input: value });
  return z.NEVER;
});

export const networkService = section({
  name,
  protocol: choice(["tcp", "udp", "icmp"], []),
  address: serviceAddress,
  port: ports.optional(),
  "inside-port": port.optional(),
  drain: duration("30s", 0).optional(),
  quiet: duration("1s", 0).optional(),
  flows: choice(["stateless", "session"], []).optional(),
});

export type NetworkService = z.infer<typeof networkService>;

export function isNetworkService(service: object): service is NetworkService {
  return "protocol" in service;
}

/** A service of mode `routed`, as its driver takes it. */
export type ServiceConfig = TrackedServiceConfig | StatelessServiceConfig | EchoServiceConfig;

interface EndpointConfig {
  readonly name: string;
  /** What the outside reaches, IPv4 or IPv6, as the kernel's programs print it. */
  readonly address: string;
  readonly port: number;
  /** Of a range. */
  readonly lastPort?: number;
  /** The port inside the boards, if it is another. */
  readonly insidePort?: number;
}

export interface TrackedServiceConfig extends EndpointConfig {
  readonly protocol: "tcp" | "udp";
  readonly flows: "session";
  readonly drainMs: number;
  /** Without a packet for so long, and without an outstanding request, a flow of the old board is between two requests. */
  readonly quietMs: number;
}

export interface StatelessServiceConfig extends EndpointConfig {
  readonly protocol: "udp";
  readonly flows: "stateless";
  readonly drainMs: number;
}

export interface EchoServiceConfig {
  readonly name: string;
  readonly protocol: "icmp";
  readonly flows: "stateless";
  readonly address: string;
  readonly drainMs: number;
}

/** Datagrams that are each on their own are answered soon, or not at all. */
const defaultStatelessDrainMs = 1000;

/** `contradictions` has seen that what a protocol needs is there. */
export function toService(service: NetworkService): ServiceConfig {
  const { name, protocol, port = { first: 0, last: 0 }, flows, drain } = service;
  const address = canonical(service.address);
  const drainMs = drain ?? (flows === "stateless" || protocol === "icmp" ? defaultStatelessDrainMs : 30_000);
  if (protocol === "icmp") return { name, protocol, flows: "stateless", address, drainMs };
  const insidePort = service["inside-port"];
  const endpoint = {
    name,
    address,
    port: port.first,
    ...(port.last === port.first ? {} : { lastPort: port.last }),
    ...(insidePort === undefined || insidePort === port.first ? {} : { insidePort }),
  };
  if (flows === "stateless") return { ...endpoint, protocol: "udp", flows, drainMs };
  const quietMs = service.quiet ?? (protocol === "tcp" ? 1000 : Number.POSITIVE_INFINITY);
  return { ...endpoint, protocol, flows: "session", drainMs, quietMs };
}
