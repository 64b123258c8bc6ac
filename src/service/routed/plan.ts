/** What a routed service is made from: pure data, out of the configuration. */
import type { SystemNames } from "../../system/names.ts";

/** One service of the outside: a TCP port of an address. */
export interface RoutedService4 {
  readonly name: string;
  readonly protocol: "tcp";
  readonly address: string;
  readonly port: number;
  /** Port inside the board, if it is another. */
  readonly insidePort?: number;
  /** Milliseconds after a takeover until what is left on the old board is reset. */
  readonly drainMs: number;
}

export interface RoutedPlan {
  readonly names: SystemNames;
  /** The card towards the outside. */
  readonly uplink: string;
  /** Addresses inside the point-to-point links; `prefix` is what the boards configure. */
  readonly boards: { readonly a: string; readonly b: string; readonly host: string; readonly prefix: number };
  /** At most 255. */
  readonly services: readonly RoutedService4[];
  /** Where the host's own settings are kept until they are put back. */
  readonly stateDirectory: string;
}
