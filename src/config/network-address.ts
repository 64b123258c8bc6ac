/** Addresses and prefixes of both families as numbers, to tell what overlaps (RFC 4632, section 3.1; RFC 4291, section 2.3). */
import { isIP, isIPv4, isIPv6 } from "node:net";
import { canonicalIpv6, ipv6ToNumber, numberToIpv6 } from "../system/ipv6-address.ts";

export interface Prefix {
  readonly family: 4 | 6;
  /** The first address, as a number. */
  readonly base: bigint;
  /** Bits of the mask. */
  readonly length: number;
}

const bitsOf = { 4: 32, 6: 128 } as const;

function toNumber(address: string): bigint {
  if (isIPv6(address)) return ipv6ToNumber(address);
  return address.split(".").reduce((sum, octet) => sum * 256n + BigInt(octet), 0n);
}

function toAddress(value: bigint, family: 4 | 6): string {
  if (family === 6) return numberToIpv6(value);
  return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 255n)).join(".");
}

/** An address of either family; no zone (`%eth0`) with it. */
export function isAddress(text: string): boolean {
  return isIPv4(text) || (isIPv6(text) && !text.includes("%"));
}

/** As the kernel's programs print it. */
export function canonical(address: string): string {
  return isIPv6(address) ? canonicalIpv6(address) : address;
}

/** `10.231.0.0/29` → its parts; `undefined` if it is no prefix, or has bits set beyond the mask. */
export function parsePrefix(text: string): Prefix | undefined {
  const [address = "", bits = "", ...rest] = text.split("/");
  if (!isAddress(address) || !/^\d{1,3}$/.test(bits) || rest.length > 0) return undefined;
  const family = isIP(address) === 6 ? 6 : 4;
  const length = Number(bits);
  if (length > bitsOf[family]) return undefined;
  const base = toNumber(address);
  return (base & ((1n << BigInt(bitsOf[family] - length)) - 1n)) === 0n
    ? { family, base, length }
    : undefined;
}

/** Never for an address of the other family. */
export function holds({ family, base, length }: Prefix, address: string): boolean {
  if (isIP(address) !== family) return false;
  const hostBits = BigInt(bitsOf[family] - length);
  return toNumber(address) >> hostBits === base >> hostBits;
}

/** The address so many after the first. */
export function addressAt({ family, base }: Prefix, offset: number): string {
  return toAddress(base + BigInt(offset), family);
}

const linkLocal6 = "fe80::/10";

/** An IPv6 address of one link alone (RFC 4291, section 2.5.6). */
export function isLinkLocal6(address: string): boolean {
  const prefix = parsePrefix(linkLocal6);
  return prefix !== undefined && holds(prefix, address);
}

/** The network of an address with its prefix length; `undefined` if the text is no address. */
export function networkOf(address: string, length: number): Prefix | undefined {
  if (!isAddress(address)) return undefined;
  const family = isIP(address) === 6 ? 6 : 4;
  const hostBits = BigInt(bitsOf[family] - length);
  return { family, base: (toNumber(address) >> hostBits) << hostBits, length };
}

/** Addresses that no client outside can be given (IANA's special-purpose registries, RFC 6890). */
const unfit: readonly (readonly [prefix: string, what: string])[] = [
  ["0.0.0.0/8", "an unspecified address"],
  ["127.0.0.0/8", "a loopback address"],
  ["169.254.0.0/16", "a link-local address"],
  ["224.0.0.0/4", "a multicast address"],
  ["240.0.0.0/4", "a reserved or broadcast address"],
  ["::/128", "the unspecified address"],
  ["::1/128", "the loopback address"],
  ["::ffff:0:0/96", "an IPv4 address written as IPv6"],
  ["::/96", "an IPv4 address written as IPv6"],
  [linkLocal6, "a link-local address"],
  ["ff00::/8", "a multicast address"],
];

/** What an address is that cannot be a service's; `undefined` for one that can. */
export function unfitness(address: string): string | undefined {
  return unfit.find(([text]) => {
    const prefix = parsePrefix(text);
    return prefix !== undefined && holds(prefix, address);
  })?.[1];
}
