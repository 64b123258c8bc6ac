/**
 * The door to cards as links: what they are, which bridge they are ports of, and how. Read by ip-link(8) and bridge(8), and not from
 * sysfs, which shows the cards of the network namespace in which it was mounted.
 */
import { readFile } from "node:fs/promises";
import { readIp } from "./ip-reader.ts";
import { ipBatch } from "./netns.ts";
import { run } from "./process.ts";

/** A bridge in a large network knows some 100,000 addresses. */
const maxTableBytes = 64 * 1024 * 1024;

export interface Link {
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
  /** Administratively up. */
  readonly up: boolean;
  /** Something is at the other end of its wire. */
  readonly carrier: boolean;
  /** As ip-link(8) names types: `bridge`, `tun`, `vlan`, …; `undefined` for hardware. */
  readonly kind: string | undefined;
  /** Only of a bridge. */
  readonly bridge: BridgeSettings | undefined;
  /** The bridge that it is a port of, and how. */
  readonly port: BridgePort | undefined;
  /** What it is a part of, a bridge or something else. */
  readonly master: string | undefined;
}

export interface BridgeSettings {
  readonly vlanFiltering: boolean;
  /** Whether it leads bridged frames past the host's rules for IP, whatever the setting of the host as a whole. */
  readonly callsIpRules: boolean;
}

export interface BridgePort {
  readonly bridge: string;
  /** `forwarding`, or `listening` and `learning` before that, `blocking`, `disabled`. */
  readonly state: string;
  readonly learning: boolean;
}

export interface PortVlan {
  readonly vlan: number;
  /** Frames without a tag are of this VLAN. */
  readonly pvid: boolean;
  /** Its frames leave the port without a tag. */
  readonly untagged: boolean;
}

interface LinkEntry {
  readonly ifname: string;
  readonly address?: string;
  readonly mtu?: number;
  readonly flags?: readonly string[];
  readonly master?: string;
  readonly linkinfo?: {
    readonly info_kind?: string;
    readonly info_data?: Readonly<Record<string, unknown>>;
    readonly info_slave_kind?: string;
    readonly info_slave_data?: { readonly state?: string; readonly learning?: boolean };
  };
}

/** All cards of this network namespace, by name. Errors: `missing-program`, `command-failed`. */
export async function links(): Promise<ReadonlyMap<string, Link>> {
  const entries = (await readIp("link show")) as LinkEntry[];
  return new Map(entries.map((entry) => [entry.ifname, linkOf(entry)]));
}

function linkOf({ ifname, address = "", mtu = 0, flags = [], master, linkinfo = {} }: LinkEntry): Link {
  const { info_kind: kind, info_data: data = {}, info_slave_kind, info_slave_data: slave = {} } = linkinfo;
  const { state = "", learning = true } = slave;
  const isPort = master !== undefined && info_slave_kind === "bridge";
  return {
    name: ifname,
    mac: address,
    mtu,
    up: flags.includes("UP"),
    carrier: flags.includes("LOWER_UP"),
    kind,
    bridge: kind === "bridge" ? bridgeSettings(data) : undefined,
    port: isPort ? { bridge: master, state, learning } : undefined,
    master,
  };
}

function bridgeSettings(data: Readonly<Record<string, unknown>>): BridgeSettings {
  return {
    vlanFiltering: data["vlan_filtering"] === 1,
    callsIpRules: data["nf_call_iptables"] === 1 || data["nf_call_ip6tables"] === 1,
  };
}

/** Names of all cards of this network namespace, in the kernel's order; much cheaper than `links` (proc(5), /proc/net/dev). */
export async function linkNames(): Promise<string[]> {
  const lines = (await readFile("/proc/net/dev", "utf8")).split("\n");
  return lines.flatMap((line) => /^\s*(\S+):/.exec(line)?.[1] ?? []);
}

/** Changes a card by the words of `ip link set dev CARD …`. Errors: `command-failed`. */
export async function setLink(card: string, words: readonly string[], signal?: AbortSignal): Promise<void> {
  await setLinks([[card, words]], signal);
}

/** As `setLink` for one card after the other, by one program; it ends at the first that fails. Errors: `command-failed`. */
export async function setLinks(
  changes: readonly (readonly [card: string, words: readonly string[]])[],
  signal?: AbortSignal,
): Promise<void> {
  const lines = changes.map(([card, words]) => `link set dev ${card} ${words.join(" ")}`);
  await ipBatch(lines, signal);
}

/** VLANs of a bridge's port; none if its bridge does not filter by them. Errors: `missing-program`, `command-failed`. */
export async function portVlans(card: string): Promise<readonly PortVlan[]> {
  const { stdout } = await run("bridge", ["-json", "vlan", "show", "dev", card]);
  const [entry] = json(stdout) as { vlans?: { vlan: number; vlanEnd?: number; flags?: string[] }[] }[];
  return (entry?.vlans ?? []).flatMap(({ vlan, vlanEnd = vlan, flags = [] }) =>
    Array.from({ length: vlanEnd - vlan + 1 }, (_, index) => ({
      vlan: vlan + index,
      pvid: flags.includes("PVID"),
      untagged: flags.includes("Egress Untagged"),
    })),
  );
}

/** Makes a port one of a VLAN; with `untagged`, frames without a tag are of that VLAN. Errors: `command-failed`. */
export async function addPortVlan(card: string, vlan: number, kind: "tagged" | "untagged"): Promise<void> {
  const words = ["dev", card, "vid", String(vlan), ...(kind === "untagged" ? ["pvid", "untagged"] : [])];
  await run("bridge", ["vlan", "add", ...words]);
}

/** Errors: `command-failed`. */
export async function removePortVlan(card: string, vlan: number): Promise<void> {
  await run("bridge", ["vlan", "delete", "dev", card, "vid", String(vlan)]);
}

/** A MAC address that a bridge believes behind one of its ports. */
export interface Learned {
  readonly port: string;
  readonly vlan: number | undefined;
  /** Configured, or a card's own. */
  readonly permanent: boolean;
}

/** Where a bridge believes a MAC address. Errors: `missing-program`, `command-failed`. */
export async function whereIs(bridge: string, mac: string): Promise<readonly Learned[]> {
  const options = { maxOutputBytes: maxTableBytes };
  const { stdout } = await run("bridge", ["-json", "fdb", "show", "br", bridge], options);
  const entries = json(stdout) as {
    mac: string;
    ifname: string;
    vlan?: number;
    state?: string;
    flags?: string[];
  }[];
  return entries
    .filter((entry) => entry.mac === mac && entry.flags?.includes("self") !== true)
    .map(({ ifname, vlan, state }) => ({ port: ifname, vlan, permanent: state === "permanent" }));
}

/** Lets a bridge forget where it believed a MAC address; no error if it knew nothing. Errors: `missing-program`. */
export async function forget(mac: string, { port, vlan }: Learned): Promise<void> {
  const words = ["dev", port, "master", ...(vlan === undefined ? [] : ["vlan", String(vlan)])];
  await run("bridge", ["fdb", "delete", mac, ...words], { allowedExitCodes: [2, 255] });
}

function json(stdout: Buffer): unknown {
  const text = stdout.toString().trim();
  return text === "" ? [] : JSON.parse(text);
}
