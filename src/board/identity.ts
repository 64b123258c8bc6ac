/** What a board's service card is told to be: the same for each kind of board. */
export interface BoardIdentity {
  readonly mac: string;
  /** Without one the board is told none of that family. */
  readonly ipv4?: CardAddress;
  readonly ipv6?: CardAddress;
  /**
   * *link*: the host itself is at the other end. *shared*: others are on the wire, and the host says nothing on its end of the card.
   * *own*: the card is a PCI device of the host's that the board has for itself, and the MAC address is one to take on.
   */
  readonly wire: "link" | "shared" | { readonly ownPci: string };
}

export interface CardAddress {
  /** With its prefix: `10.231.0.2/29`. */
  readonly address: string;
  readonly gateway?: string;
}
