/** What differs between the address families in rules and routes. */

export interface Family {
  /** Ends the names of this family's maps. */
  readonly suffix: string;
  /** nftables' names (nft(8)): of the address type, of the header, of the family in `meta nfproto`. */
  readonly addressType: string;
  readonly header: string;
  readonly protocol: string;
  /** Bytes of a header without options or extensions; `meta length` counts them. */
  readonly headerBytes: number;
  /** Prefix of a single address. */
  readonly hostPrefix: number;
}

export const ipv4: Family = {
  suffix: "4",
  addressType: "ipv4_addr",
  header: "ip",
  protocol: "ipv4",
  headerBytes: 20,
  hostPrefix: 32,
};
