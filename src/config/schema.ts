/**
 * The configuration file as people write it: every key that exists, and what it may hold.
 * Keys of later versions are known here, and choosing one is refused by name: nothing is accepted that would not be done.
 */
import { isIP } from "node:net";
import { z } from "zod";
import { dormancyDepths } from "../board/depth.ts";
import { type BoardKind, boardKinds } from "../board/kind.ts";
import { parseCoreList } from "../system/core-list.ts";
import { isLeased, type LeasedService, leasedService } from "./leased-schema.ts";
import { isLine, type LineService, lineService } from "./line-schema.ts";
import { addressAt, isAddress, isLinkLocal6, networkOf, parsePrefix, unfitness } from "./network-address.ts";
import { type NetworkService, networkService } from "./network-service.ts";
import {
  absolutePath,
  card,
  choice,
  duration,
  hourMs,
  later,
  mebi,
  name,
  notYet,
  pciAddress,
  section,
  size,
  whole,
} from "./values.ts";

type AnyService = NetworkService | LineService | LeasedService;

/** Chooses the schema by the keys that are there, so that a serial line is not told that it lacks a port. */
const service = z.record(z.string(), z.unknown()).transform((raw, context): AnyService => {
  const kind = isLine(raw) ? lineService : isLeased(raw) ? leasedService : networkService;
  const result = kind.safeParse(raw);
  if (result.success) return result.data;
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

const kind = choice(boardKinds, []);
const bothKinds = z
  .array(kind)
  .min(1, "expected at least one kind")
  .refine((kinds) => new Set(kinds).size === kinds.length, "a kind is named twice");
const kindOfEach = section({ a: kind, b: kind });

/** One kind for both boards, a list of those that each may be, or one for each. */
const kinds = z
  .unknown()
  .transform((raw, context): BoardKind | readonly BoardKind[] | Readonly<Record<"a" | "b", BoardKind>> => {
    const form = Array.isArray(raw) ? bothKinds : typeof raw === "object" && raw !== null ? kindOfEach : kind;
    const result = form.safeParse(raw);
    if (result.success) return result.data;
    for (const issue of result.error.issues)
      context.issues.push({ ...issue, input: raw } as z.core.$ZodRawIssue);
    return z.NEVER;
  });

/** A list of numbers, or one as the kernel prints it. */
const cores = z.unknown().transform((raw, context): readonly number[] => {
  const text = Array.isArray(raw) ? raw.join(",") : typeof raw === "number" ? String(raw) : raw;
  const plain = !Array.isArray(raw) || raw.every((core) => Number.isInteger(core));
  const list = plain && typeof text === "string" ? parseCoreList(text) : undefined;
  if (list !== undefined && list.length > 0) return list;
  const message = 'expected at least one core from 0 to 4095, as a list such as [1, 3] or as "2-3,5"';
  context.addIssue({ code: "custom", message, input: raw });
  return z.NEVER;
});
const coresOfBoards = section({ a: cores.optional(), b: cores.optional() });

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

const passedThrough = section({ pci: pciAddress });

/** A card of the host's by its name, or one that the board has for itself. */
const ownCard = z.unknown().transform((raw, context): string | z.infer<typeof passedThrough> => {
  const result = typeof raw === "object" ? passedThrough.safeParse(raw) : card.safeParse(raw);
  if (result.success) return result.data;
  for (const issue of result.error.issues)
    context.issues.push({ ...issue, input: raw } as z.core.$ZodRawIssue);
  return z.NEVER;
});

/** Of one card: not a group's (IEEE 802, the lowest bit of the first octet). */
const mac = z
  .string()
  .regex(
    /^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/i,
    "expected the MAC address of a card, such as 52:54:00:00:00:10",
  )
  .refine((text) => /[^0:]/.test(text), "expected the MAC address of a card, which is not all zeros")
  .transform((text) => text.toLowerCase());

/** What a board's card is told, on a network that it shares with others. */
const networkAddress = (family: 4 | 6, example: string) =>
  z.string().superRefine((text, context) => {
    const [address = "", length = "", ...rest] = text.split("/");
    const fits =
      rest.length === 0 && /^[1-9]\d{0,2}$/.test(length) && Number(length) <= (family === 4 ? 32 : 128);
    const what = isAddress(address) ? (unfitness(address) ?? placeIn(address, Number(length))) : undefined;
    if (fits && isAddress(address) && isIP(address) === family && what === undefined) return;
    const why = what === undefined ? "" : `${address} is ${what}: `;
    const message = `${why}expected an IPv${family} address with its prefix, such as ${example}`;
    context.addIssue({ code: "custom", message });
  });

/** What an address is in its network besides a host's (RFC 1122, section 3.2.1.3; RFC 4291, section 2.6.1); links of two have neither. */
function placeIn(address: string, length: number): string | undefined {
  const family = isIP(address) === 6 ? 6 : 4;
  if (!(length >= 1 && length <= (family === 4 ? 30 : 126))) return undefined;
  if (parsePrefix(`${address}/${length}`) !== undefined) return "the network's own address";
  const network = networkOf(address, length);
  const isLast =
    family === 4 && network !== undefined && addressAt(network, 2 ** (32 - length) - 1) === address;
  return isLast ? "the network's broadcast address" : undefined;
}

/** On the boards' own network, where a router's IPv6 address often is its link-local one. */
const gateway = z.string().superRefine((text, context) => {
  const what = isAddress(text) && !isLinkLocal6(text) ? unfitness(text) : undefined;
  if (isAddress(text) && what === undefined) return;
  const message = "expected the address of a router, without a prefix, such as 198.51.100.1 or fe80::1";
  context.addIssue({
    code: "custom",
    message: what === undefined ? message : `${text} is ${what}: ${message}`,
  });
});

/** Of 802.1Q; 0 and 4095 are reserved. */
const vlan = whole(1, 4094);

/** YAML reads 0x00ffffff as a number. */
const markMask = z
  .int("expected a mask of 32 bits, such as 0x00ffffff")
  .min(1, "expected a mask of 32 bits, such as 0x00ffffff")
  .max(0xffff_ffff, "expected a mask of 32 bits, such as 0x00ffffff");

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
    kind: kinds.optional(),
    runtime: choice(["auto", "crun", "runc"], []).optional(),
    architecture: choice(["x86-64", "arm64"], []).optional(),
    accelerator: choice(["auto", "kvm", "tcg"], []).optional(),
    memory: size("256MiB", 32 * mebi, 1024 * 1024 * mebi),
    cpus: whole(1, 64).optional(),
    user: z
      .string()
      .regex(/^[a-z_][a-z0-9_-]{0,31}$/, "expected the name of a system user")
      .optional(),
    watchdog: duration("30s", 2000).optional(),
    dormancy: choice(dormancyDepths, []).optional(),
    slots: section({
      size: size("1GiB", mebi, 1024 * 1024 * mebi).optional(),
      a: later("a slot of one's own choice").optional(),
      b: later("a slot of one's own choice").optional(),
    }).optional(),
  }),
  placement: section({ cores: coresOfBoards.optional(), emulator: coresOfBoards.optional() }).optional(),
  network: section({
    mode: choice(["routed", "bridged", "two-cards", "none"], []).optional(),
    uplink: card.optional(),
    uplinks: section({ a: ownCard, b: ownCard }).optional(),
    boards: boardsPrefix.optional(),
    boards6: boards6Prefix.optional(),
    "mark-mask": markMask.optional(),
    masquerade: z.boolean("expected true or false").optional(),
    mac: mac.optional(),
    address: networkAddress(4, "198.51.100.10/24").optional(),
    address6: networkAddress(6, "2001:db8::10/64").optional(),
    gateway: gateway.optional(),
    gateway6: gateway.optional(),
    vlan: vlan.optional(),
    vlans: z
      .array(vlan)
      .min(1, "expected at least one VLAN")
      .max(256, "expected at most 256 VLANs")
      .optional(),
    linger: duration("20ms", 0, 1000).optional(),
  }),
  services: z.array(service).max(255, "expected at most 255 services").optional(),
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
