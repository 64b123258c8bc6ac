/** What a bridged service is made from: pure data, out of the configuration. */
import type { SystemNames } from "../../system/names.ts";
import type { SharedIdentity } from "../network/identity.ts";

export interface BridgedPlan {
  readonly names: SystemNames;
  /** A bridge that the integrator made. */
  readonly uplink: string;
  readonly identity: SharedIdentity;
  /** Milliseconds in which the old board may still answer what it heard before a takeover. */
  readonly lingerMs: number;
  readonly vlans: BoardVlans;
}

/** Of a bridge that filters by VLAN; with neither, its own default for a new port stays. */
export interface BoardVlans {
  /** Frames without a tag inside the boards are of this one. */
  readonly untagged: number | null;
  readonly tagged: readonly number[];
}
