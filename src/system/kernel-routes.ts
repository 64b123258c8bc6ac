/** Which card the kernel's routes to single hosts lead to, read without a program because it is asked all the time (proc(5), net/route). */
import { readFile } from "node:fs/promises";
import { isIPv6 } from "node:net";
import { endianness } from "node:os";
import { ipv6ToNumber } from "./ipv6-address.ts";

/** `ADDRESS CARD` of each route to one host of this network namespace, addresses as `hostKey` writes them. */
export async function hostRoutes(): Promise<ReadonlySet<string>> {
  // A kernel without IPv6 has no such file.
  const [four, six] = await Promise.all(
    ["/proc/net/route", "/proc/net/ipv6_route"].map((path) => readFile(path, "utf8").catch(() => "")),
  );
  return parseHostRoutes(four ?? "", six ?? "");
}

/** Pure. */
export function parseHostRoutes(four: string, six: string): ReadonlySet<string> {
  const found = new Set<string>();
  for (const line of four.split("\n").slice(1)) {
    const [card = "", destination = "", , , , , , mask] = line.split("\t");
    if (mask === "FFFFFFFF") found.add(`${destination.toLowerCase()} ${card}`);
  }
  for (const line of six.split("\n")) {
    const words = line.trim().split(/\s+/);
    const [destination = "", length] = words;
    if (length === "80") found.add(`${destination} ${words.at(-1) ?? ""}`);
  }
  return found;
}

/** An address as the kernel's tables of routes write it: in hexadecimal, IPv4 as a number of the processor's own order. */
export function hostKey(address: string, card: string): string {
  if (isIPv6(address)) return `${ipv6ToNumber(address).toString(16).padStart(32, "0")} ${card}`;
  const octets = address.split(".").map((octet) => Number(octet).toString(16).padStart(2, "0"));
  return `${(endianness() === "LE" ? octets.toReversed() : octets).join("")} ${card}`;
}
