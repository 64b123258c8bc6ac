/** What a service is made from whose boards have cards for themselves: pure data, out of the configuration. */
import type { BoardName } from "../../board/board.ts";
import type { SharedIdentity } from "../network/identity.ts";

export interface PassedThroughPlan {
  /** Addresses of PCI devices. */
  readonly devices: Readonly<Record<BoardName, string>>;
  readonly identity: SharedIdentity;
}
