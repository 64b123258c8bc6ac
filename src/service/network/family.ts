/** What differs between the address families in rules, routes and settings. */
import { isIPv6 } from "node:net";

export interface Family {
  /** As nftables' `meta nfproto`, conntrack's `-f` and the plan's links call it. */
  readonly name: "ipv4" | "ipv6";
  /** Ends the names of this family's maps and chains. */
  readonly suffix: string;
  /** nftables' names (nft(8)): of the address type and of the header. */
  readonly addressType: string;
  readonly header: string;
  /** Bytes of a header without options or extensions; `meta length` counts them. */
  readonly headerBytes: number;
  /** Prefix of a single address. */
  readonly hostPrefix: number;
}

export const ipv4: Family = {
  name: "ipv4",
  suffix: "4",
  addressType: "ipv4_addr",
  header: "ip",
  headerBytes: 20,
  hostPrefix: 32,
};

export const ipv6: Family = {
  name: "ipv6",
  suffix: "6",
  addressType: "ipv6_addr",
  header: "ip6",
  headerBytes: 40,
  hostPrefix: 128,
};

export const families: readonly Family[] = [ipv4, ipv6];

export function familyOf(address: string): Family {
  return isIPv6(address) ? ipv6 : ipv4;
}
