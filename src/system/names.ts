/** The names of everything that a system owns on its host. A pure function of the system's name, so that a restarted daemon finds all of it again. */
import { createHash } from "node:crypto";
import { canonicalIpv6 } from "./ipv6-address.ts";

export const cardRoles = ["mgmt", "service", "bridge", "double"] as const;
export type CardRole = (typeof cardRoles)[number];

const roleLetters: Readonly<Record<CardRole, string>> = { mgmt: "m", service: "s", bridge: "b", double: "d" };

export interface SystemNames {
  readonly system: string;
  /** Sockets and process files, gone after a reboot. Mode 0700. */
  readonly runDirectory: string;
  /** Table name in nftables, the same in each family. */
  readonly table: string;
  /**
   * Names of the host's ends of the boards' cards, and of what else is a board's own: the bridge to its card, and the way to the double of
   * its gateway. At most 15 characters (IFNAMSIZ).
   */
  card(board: "a" | "b", role: CardRole): string;
  /** MAC address inside the board, locally administered (IEEE 802, bit 1 of the first octet). */
  mac(board: "a" | "b", role: "mgmt" | "service"): string;
  /** The two ends of a board's CAN card for a service: the one that rules join to the bus, and the one that the board has. */
  canCard(board: "a" | "b", service: string, end: "host" | "board"): string;
  /** The node of a device that a board can be given, for QEMU's user to open. A directory of its own below /dev, where nodes are nodes. */
  deviceNode(id: string): string;
  /** IPv6 link-local address (RFC 4291, appendix A: modified EUI-64) that the board's kernel gives the card of that MAC. */
  linkLocal(board: "a" | "b", role: "mgmt" | "service"): string;
  /** MAC address of both boards' service cards where the boards are one host to the outside, unless another is configured. */
  readonly sharedMac: string;
}

const hex = (octet: number): string => octet.toString(16).padStart(2, "0");

export function systemNames(
  system: string,
  runRoot = "/run/twinboard",
  deviceRoot = "/dev/twinboard",
): SystemNames {
  const digest = createHash("sha256").update(`twinboard ${system}`).digest();
  const short = digest.toString("hex", 0, 3);
  const octets = (board: "a" | "b", role: "mgmt" | "service"): number[] => [
    0x02,
    0x7b,
    digest[0] ?? 0,
    digest[1] ?? 0,
    digest[2] ?? 0,
    (role === "mgmt" ? 0x00 : 0x10) + (board === "a" ? 0x0a : 0x0b),
  ];
  return {
    system,
    runDirectory: `${runRoot}/${system}`,
    table: `twinboard_${short}`,
    card: (board, role) => `tb${short}-${board}-${roleLetters[role]}`,
    mac: (board, role) => octets(board, role).map(hex).join(":"),
    canCard: (board, service, end) => {
      const hash = createHash("sha256").update(service).digest("hex").slice(0, 4);
      return `tb${short}-${board}${hash}${end === "host" ? "h" : "b"}`;
    },
    linkLocal: (board, role) => linkLocalOf(octets(board, role).map(hex).join(":")),
    sharedMac: [0x02, 0x7b, digest[0] ?? 0, digest[1] ?? 0, digest[2] ?? 0, 0x1c].map(hex).join(":"),
    deviceNode: (id) => `${deviceRoot}/${system}/${id}`,
  };
}

/** Whether a card is the host's end of a board's service card, of whichever system. */
export function isServiceCard(card: string): boolean {
  return /^tb[0-9a-f]{6}-[ab]-s$/.test(card);
}

/** The link-local address that a kernel gives a card of this MAC address by modified EUI-64 (RFC 4291, appendix A). */
export function linkLocalOf(mac: string): string {
  const [first = 0, second = 0, third = 0, ...rest] = mac
    .split(":")
    .map((octet) => Number.parseInt(octet, 16));
  const eui = [first ^ 0x02, second, third, 0xff, 0xfe, ...rest].map(hex);
  return canonicalIpv6(`fe80::${[0, 2, 4, 6].map((i) => `${eui[i]}${eui[i + 1]}`).join(":")}`);
}
