/** What a service on two cards is made from: pure data, out of the configuration. */
import type { BoardName } from "../../board/board.ts";
import type { SystemNames } from "../../system/names.ts";
import type { SharedIdentity } from "../network/identity.ts";

export interface TwoCardsPlan {
  readonly names: SystemNames;
  /** Of each board: a card without addresses, or a bridge that the integrator made. */
  readonly uplinks: Readonly<Record<BoardName, string>>;
  readonly identity: SharedIdentity;
  readonly gateways: Gateways;
  /** Milliseconds in which the old board's card stays open after a takeover, while switches learn. 0: never are both. */
  readonly lingerMs: number;
  /** VLANs in which the boards send with tags of their own: switches that learn by VLAN are told in each. */
  readonly vlans: readonly number[];
  readonly stateDirectory: string;
}

/** Of the boards, as far as they are known. */
export interface Gateways {
  readonly ipv4?: Gateway;
  readonly ipv6?: Gateway;
}

export interface Gateway {
  readonly address: string;
  /** Of the network that the boards share with it. */
  readonly prefixLength: number;
}
