/** The host's end of a point-to-point card: all that it needs by one ip(8), because a board waits for it. */
import { ipBatch } from "./netns.ts";

/** Who is at the other end, in one family. */
export interface Peer {
  readonly address: string;
  /** Length of a prefix that is one address: 32 or 128. */
  readonly prefix: number;
  readonly mac: string;
  /** The host's own address towards it, which the card is given. */
  readonly from: string;
}

/**
 * Takes a card out of whatever it is a part of and up, gives it the host's addresses, and for each peer a route to just its address, with its MAC
 * known for good. Repeatable; what is so stays. Sources: ip-link(8), ip-address(8), ip-route(8), ip-neighbour(8). Errors: `command-failed`; the signal's reason.
 */
export async function pointAt(card: string, peers: readonly Peer[], signal: AbortSignal): Promise<void> {
  await ipBatch(
    [
      `link set dev ${card} nomaster`,
      ...peers.map(({ from, prefix }) => {
        // Usable at once: on a card with one peer there is nobody to ask whether he has it too.
        const atOnce = from.includes(":") ? " nodad" : "";
        return `address replace ${from}/${prefix} dev ${card}${atOnce}`;
      }),
      `link set dev ${card} up`,
      ...peers.flatMap(({ address, prefix, mac, from }) => [
        `route replace ${address}/${prefix} dev ${card} src ${from}`,
        `neighbour replace ${address} lladdr ${mac} nud permanent dev ${card}`,
      ]),
    ],
    signal,
  );
}
