/** IPv4 addresses and prefixes as numbers, to tell what overlaps (RFC 4632, section 3.1). */
import { isIPv4 } from "node:net";

export interface Prefix4 {
  /** The first address, as a number. */
  readonly base: number;
  /** Bits of the mask. */
  readonly length: number;
}

export function addressToNumber(address: string): number {
  return address.split(".").reduce((sum, octet) => sum * 256 + Number(octet), 0);
}

export function numberToAddress(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join(".");
}

/** `10.231.0.0/29` → its parts; `undefined` if it is no prefix, or has bits set beyond the mask. */
export function parsePrefix4(text: string): Prefix4 | undefined {
  const [address = "", bits = "", ...rest] = text.split("/");
  if (!isIPv4(address) || !/^\d{1,2}$/.test(bits) || rest.length > 0) return undefined;
  const length = Number(bits);
  const base = addressToNumber(address);
  return length <= 32 && base % 2 ** (32 - length) === 0 ? { base, length } : undefined;
}

export function holds(prefix: Prefix4, address: string): boolean {
  const offset = addressToNumber(address) - prefix.base;
  return offset >= 0 && offset < 2 ** (32 - prefix.length);
}
