/** The configuration as the program uses it: every default filled in, units in the names, nothing left to parse. */
import { isIPv6 } from "node:net";
import { dirname, resolve } from "node:path";
import type { DormancyDepth } from "../board/depth.ts";
import type { BoardKind } from "../board/kind.ts";
import { isLeased, type LeasedConfig, toLeased } from "./leased-schema.ts";
import { isLine, type LineConfig, toLine } from "./line-schema.ts";
import { addressAt, canonical, parsePrefix } from "./network-address.ts";
import { isNetworkService, type NetworkService, type ServiceConfig, toService } from "./network-service.ts";
import type { ConfigDocument } from "./schema.ts";

/** The private network between the host and its boards. */
export interface BoardAddresses {
  readonly host: string;
  readonly a: string;
  readonly b: string;
  readonly prefixLength: number;
}

/** How the boards are joined to the outside. */
export type NetworkConfig = RoutedNetwork | BridgedNetwork | TwoCardsNetwork | { readonly mode: "none" };

export interface RoutedNetwork {
  readonly mode: "routed";
  readonly uplink: string;
  readonly boards: BoardAddresses;
  /** There if a service has an IPv6 address: without one nothing here needs IPv6. */
  readonly boards6?: BoardAddresses;
  /** The bits of conntrack's marks that are Twinboard's. */
  readonly markMask: number;
  /** Whether what a board begins leaves with the uplink's address; with its own otherwise. */
  readonly masquerade: boolean;
}

/** Both boards carry it; the outside sees one host. */
export interface NetworkIdentity {
  /** `null`: one that follows from the system's name. */
  readonly mac: string | null;
  readonly ipv4?: IdentityAddress;
  readonly ipv6?: IdentityAddress;
}

export interface IdentityAddress {
  readonly address: string;
  readonly prefixLength: number;
  readonly gateway: string | null;
}

export interface BridgedNetwork {
  readonly mode: "bridged";
  /** A bridge that the integrator made; the card is one of its ports. */
  readonly uplink: string;
  readonly identity: NetworkIdentity;
  /** How long the old board may still answer what it heard before a takeover. */
  readonly lingerMs: number;
  /** Of a bridge that filters by VLAN: that of frames without a tag in the boards, and those that the boards see with their tags. */
  readonly vlans: { readonly untagged: number | null; readonly tagged: readonly number[] };
}

export interface TwoCardsNetwork {
  readonly mode: "two-cards";
  /** Of each board: a card without addresses, or a bridge that the integrator made; with `passedThrough` a PCI device's address. */
  readonly uplinks: Readonly<Record<"a" | "b", string>>;
  /** Each board has its card for itself, and the host sees nothing of what passes it. */
  readonly passedThrough: boolean;
  readonly identity: NetworkIdentity;
  /** How long the old board's card stays open after a takeover, while the outside learns where the new one is. */
  readonly lingerMs: number;
  /** In which the boards send with tags of their own. */
  readonly vlans: readonly number[];
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

/** Cores of the host; of a board that is not named: all. */
export interface PlacementConfig {
  /** Of a board's virtual processors, and of its other threads too unless `emulator` names theirs. */
  readonly cores: Readonly<Partial<Record<"a" | "b", readonly number[]>>>;
  /** Of the threads that emulate its devices and move its data. */
  readonly emulator: Readonly<Partial<Record<"a" | "b", readonly number[]>>>;
}

export interface Config extends LeasedConfig {
  /** Absolute path of the file it came from. */
  readonly file: string;
  /** `LINE:COLUMN` in there of what only a host can contradict, by its key (`placement.cores.a`; a service by its name). */
  readonly positions: Readonly<Record<string, string>>;
  readonly system: string;
  readonly compatible: string;
  readonly stateDirectory: string;
  readonly trust: { readonly keyring: string; readonly formats: readonly "verity"[] };
  readonly boards: {
    /** What each may be, the usual first. */
    readonly kinds: Readonly<Record<"a" | "b", readonly [BoardKind, ...BoardKind[]]>>;
    /** What runs containers. */
    readonly runtime: "auto" | "crun" | "runc";
    /** Of machines; `null`: the host's own. Another's is emulated. */
    readonly architecture: "x86-64" | "arm64" | null;
    readonly accelerator: "auto" | "kvm" | "tcg";
    readonly memoryBytes: number;
    readonly cpus: number;
    /** Largest sum of a bundle's images. */
    readonly slotBytes: number;
    /** The unprivileged user that runs the boards' processes. */
    readonly user: string;
    /** How long a board that says that it lives may be silent; `null`: nobody minds. */
    readonly watchdogMs: number | null;
    /** How deep a board that is relieved sleeps. */
    readonly dormancy: DormancyDepth;
  };
  readonly placement: PlacementConfig;
  readonly network: NetworkConfig;
  readonly services: readonly ServiceConfig[];
  /** Serial lines and streams. */
  readonly lines: readonly LineConfig[];
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
/** Measured: with less, replies that are in flight at a takeover are lost. */
const defaultLingerMs = 20;
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

/** `contradictions` has seen that what a mode needs is there. */
function networkConfig(
  network: ConfigDocument["network"],
  services: readonly NetworkService[],
): NetworkConfig {
  const { mode = "routed", uplink = "", uplinks = { a: "", b: "" } } = network;
  const lingerMs = network.linger ?? defaultLingerMs;
  if (mode === "none") return { mode };
  if (mode === "bridged") {
    const vlans = { untagged: network.vlan ?? null, tagged: network.vlans ?? [] };
    return { mode, uplink, identity: identityOf(network), lingerMs, vlans };
  }
  if (mode === "two-cards")
    return {
      mode,
      uplinks: { a: cardName(uplinks.a), b: cardName(uplinks.b) },
      passedThrough: typeof uplinks.a === "object",
      identity: identityOf(network),
      lingerMs,
      vlans: network.vlans ?? [],
    };
  return {
    mode,
    uplink,
    boards: boardAddresses(network.boards ?? defaultBoardsPrefix),
    ...(services.some(({ address }) => isIPv6(address))
      ? { boards6: boardAddresses(network.boards6 ?? defaultBoards6Prefix) }
      : {}),
    markMask: network["mark-mask"] ?? defaultMarkMask,
    masquerade: network.masquerade ?? true,
  };
}

type Uplink = NonNullable<ConfigDocument["network"]["uplinks"]>["a"];

/** As the kernel or lspci tells it. */
export function cardName(uplink: Uplink): string {
  return typeof uplink === "object" ? uplink.pci : uplink;
}

function identityOf({
  mac,
  address,
  address6,
  gateway,
  gateway6,
}: ConfigDocument["network"]): NetworkIdentity {
  return {
    mac: mac ?? null,
    ...(address === undefined ? {} : { ipv4: identityAddress(address, gateway) }),
    ...(address6 === undefined ? {} : { ipv6: identityAddress(address6, gateway6) }),
  };
}

function identityAddress(text: string, gateway: string | undefined): IdentityAddress {
  const [address = "", length] = text.split("/");
  return {
    address: canonical(address),
    prefixLength: Number(length),
    gateway: gateway === undefined ? null : canonical(gateway),
  };
}

type Cores = NonNullable<NonNullable<ConfigDocument["placement"]>["cores"]>;

function named({ a, b }: Cores = {}): PlacementConfig["cores"] {
  return { ...(a === undefined ? {} : { a }), ...(b === undefined ? {} : { b }) };
}

/** What a configuration lets each board be, the usual first. */
export function kindsOf(kind: ConfigDocument["boards"]["kind"] = "qemu"): Config["boards"]["kinds"] {
  if (typeof kind === "string") return { a: [kind], b: [kind] };
  if ("a" in kind) return { a: [kind.a], b: [kind.b] };
  const [usual = "qemu", ...others] = kind;
  return { a: [usual, ...others], b: [usual, ...others] };
}

/** Where in its file a key is that a host contradicts, as `FILE:LINE:COLUMN: KEY`. */
export function placeText({ file, positions }: Pick<Config, "file" | "positions">, key: string): string {
  const position = positions[key];
  return `${file}${position === undefined ? "" : `:${position}`}: ${key}`;
}

/** Fills in the defaults. Relative paths are relative to the file. */
export function toConfig(
  document: ConfigDocument,
  file: string,
  positions: Config["positions"] = {},
): Config {
  const { boards, upgrade, placement } = document;
  const path = resolve(file);
  const services = (document.services ?? []).filter(isNetworkService);
  return {
    file: path,
    positions,
    system: document.system,
    compatible: document.compatible,
    stateDirectory: document["state-directory"] ?? `/var/lib/twinboard/${document.system}`,
    trust: {
      keyring: resolve(dirname(path), document.trust.keyring),
      formats: document.trust["bundle-formats"] ?? ["verity"],
    },
    boards: {
      kinds: kindsOf(boards.kind),
      runtime: boards.runtime ?? "auto",
      architecture: boards.architecture ?? null,
      accelerator: boards.accelerator ?? "auto",
      memoryBytes: boards.memory,
      cpus: boards.cpus ?? 1,
      slotBytes: boards.slots?.size ?? defaultSlotBytes,
      user: boards.user ?? "nobody",
      watchdogMs: boards.watchdog ?? null,
      dormancy: boards.dormancy ?? "warm",
    },
    placement: { cores: named(placement?.cores), emulator: named(placement?.emulator) },
    network: networkConfig(document.network, services),
    services: services.map(toService),
    lines: (document.services ?? []).filter(isLine).map(toLine),
    ...toLeased((document.services ?? []).filter(isLeased)),
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
