/** The configuration as the program uses it: every default filled in, units in the names, nothing left to parse. */
import { isIPv6 } from "node:net";
import { dirname, resolve } from "node:path";
import { type LeasedConfig, toLeasedConfig } from "./leased-config.ts";
import { addressAt, canonical, parsePrefix } from "./network-address.ts";
import type { ConfigDocument } from "./schema.ts";

export interface ServiceConfig {
  readonly name: string;
  readonly protocol: "tcp";
  /** What the outside reaches, IPv4 or IPv6, as the kernel's programs print it. */
  readonly address: string;
  readonly port: number;
  /** The port inside the boards. */
  readonly insidePort: number;
  readonly drainMs: number;
  /** Without a packet for so long, and without an outstanding request, a flow of the old board is between two requests. */
  readonly quietMs: number;
}

/** The private network between the host and its boards. */
export interface BoardAddresses {
  readonly host: string;
  readonly a: string;
  readonly b: string;
  readonly prefixLength: number;
}

export interface CheckConfig {
  readonly name: string;
  readonly target:
    | { readonly kind: "http"; readonly port: number; readonly path: string }
    | { readonly kind: "tcp"; readonly port: number };
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Failures in a row that make the check unhealthy. */
  readonly failures: number;
}

export interface Config extends LeasedConfig {
  /** Absolute path of the file it came from. */
  readonly file: string;
  readonly system: string;
  readonly compatible: string;
  readonly stateDirectory: string;
  readonly trust: { readonly keyring: string; readonly formats: readonly "verity"[] };
  readonly boards: {
    readonly kind: "qemu";
    readonly accelerator: "auto" | "kvm" | "tcg";
    readonly memoryBytes: number;
    readonly cpus: number;
    /** Largest sum of a bundle's images. */
    readonly slotBytes: number;
    /** The unprivileged user that runs the boards' processes. */
    readonly user: string;
    /** How long a board that says that it lives may be silent; `null`: nobody minds. */
    readonly watchdogMs: number | null;
  };
  readonly placement: { readonly cores: Readonly<Partial<Record<"a" | "b", readonly number[]>>> };
  readonly network: {
    readonly mode: "routed";
    readonly uplink: string;
    readonly boards: BoardAddresses;
    /** There if a service has an IPv6 address: without one nothing here needs IPv6. */
    readonly boards6?: BoardAddresses;
    /** The bits of conntrack's marks that are Twinboard's. */
    readonly markMask: number;
  };
  readonly services: readonly ServiceConfig[];
  readonly health: readonly CheckConfig[];
  /** Whether the other board takes the service over when the holder fails outside an upgrade. */
  readonly failover: boolean;
  readonly upgrade: {
    readonly bootTimeoutMs: number;
    readonly verifyTimeoutMs: number;
    readonly probationMs: number;
    readonly attempts: number;
  };
}

export const defaultBoardsPrefix = "10.231.0.0/29";
/** A unique local prefix (RFC 4193), its 40 bits drawn at random once; no packet leaves the host with it. */
export const defaultBoards6Prefix = "fd5c:9a1e:7b42::/64";
export const defaultMarkMask = 0x00ff_ffff;
const defaultSlotBytes = 1024 ** 3;

function boardAddresses(text: string): BoardAddresses {
  const prefix = parsePrefix(text) ?? { family: 4, base: 0n, length: 32 };
  return {
    host: addressAt(prefix, 1),
    a: addressAt(prefix, 2),
    b: addressAt(prefix, 3),
    prefixLength: prefix.length,
  };
}

function checkTarget(http: string | undefined, tcp: string | undefined): CheckConfig["target"] {
  if (http === undefined) return { kind: "tcp", port: Number(tcp?.slice(1)) };
  const slash = http.indexOf("/");
  return { kind: "http", port: Number(http.slice(1, slash)), path: http.slice(slash) };
}

/** Fills in the defaults. Relative paths are relative to the file. */
export function toConfig(document: ConfigDocument, file: string): Config {
  const { boards, network, upgrade, placement } = document;
  const path = resolve(file);
  const cores = placement?.cores;
  const traffic = document.services.filter((service) => "protocol" in service);
  const hasIpv6 = traffic.some(({ address }) => isIPv6(address));
  return {
    file: path,
    system: document.system,
    compatible: document.compatible,
    stateDirectory: document["state-directory"] ?? `/var/lib/twinboard/${document.system}`,
    trust: {
      keyring: resolve(dirname(path), document.trust.keyring),
      formats: document.trust["bundle-formats"] ?? ["verity"],
    },
    boards: {
      kind: "qemu",
      accelerator: boards.accelerator ?? "auto",
      memoryBytes: boards.memory,
      cpus: boards.cpus ?? 1,
      slotBytes: boards.slots?.size ?? defaultSlotBytes,
      user: boards.user ?? "nobody",
      watchdogMs: boards.watchdog ?? null,
    },
    placement: {
      cores: {
        ...(cores?.a === undefined ? {} : { a: cores.a }),
        ...(cores?.b === undefined ? {} : { b: cores.b }),
      },
    },
    network: {
      mode: "routed",
      uplink: network.uplink,
      boards: boardAddresses(network.boards ?? defaultBoardsPrefix),
      markMask: network["mark-mask"] ?? defaultMarkMask,
      ...(hasIpv6 ? { boards6: boardAddresses(network.boards6 ?? defaultBoards6Prefix) } : {}),
    },
    services: traffic.map((service) => ({
      name: service.name,
      protocol: service.protocol,
      address: canonical(service.address),
      port: service.port,
      insidePort: service["inside-port"] ?? service.port,
      drainMs: service.drain ?? 30_000,
      quietMs: service.quiet ?? 1000,
    })),
    ...toLeasedConfig(document.services),
    health: (document.health ?? []).map((check) => ({
      name: check.name,
      target: checkTarget(check.http, check.tcp),
      intervalMs: check.interval ?? 1000,
      timeoutMs: check.timeout ?? 1000,
      failures: check.failures ?? 3,
    })),
    failover: document.failover ?? true,
    upgrade: {
      bootTimeoutMs: upgrade?.["boot-timeout"] ?? 120_000,
      verifyTimeoutMs: upgrade?.["verify-timeout"] ?? 60_000,
      probationMs: upgrade?.probation ?? 60_000,
      attempts: upgrade?.attempts ?? 2,
    },
  };
}
