/** IPv6 addresses as numbers of 128 bits, and in the one text that the kernel's programs print too (RFC 5952). */
import { SocketAddress } from "node:net";

/** The address must be one: `isIPv6` of node:net, without a zone. */
export function ipv6ToNumber(address: string): bigint {
  // A URL's host is in hexadecimal throughout, also where the text ended in dotted decimals.
  const [head = "", tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const [before, after] = [groupsOf(head), groupsOf(tail)];
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => "0");
  return [...before, ...zeros, ...after].reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
}

function groupsOf(text = ""): string[] {
  return text.split(":").filter(Boolean);
}

export function numberToIpv6(value: bigint): string {
  const hexadecimal = value.toString(16).padStart(32, "0");
  return canonicalIpv6((hexadecimal.match(/.{4}/g) ?? []).join(":"));
}

export function canonicalIpv6(address: string): string {
  return new SocketAddress({ address, family: "ipv6" }).address;
}

/** The group in which the owner of an address hears who asks for it (RFC 4291, section 2.7.1). */
export function solicitedNode(address: string): string {
  return numberToIpv6(ipv6ToNumber("ff02::1:ff00:0") | (ipv6ToNumber(address) & 0xff_ffffn));
}
