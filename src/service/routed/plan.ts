/** What a routed service is made from: pure data, out of the configuration. */
import { TwinboardError } from "../../errors.ts";
import type { SystemNames } from "../../system/names.ts";
import { type Family, families, familyOf } from "../network/family.ts";

/** One service of the outside: a TCP port of an address. */
export interface PlannedService {
  readonly name: string;
  readonly protocol: "tcp";
  /** IPv4 or IPv6, the latter as the kernel prints it (RFC 5952). */
  readonly address: string;
  readonly port: number;
  /** Port inside the board, if it is another. */
  readonly insidePort?: number;
  /** Milliseconds after a takeover until what is left on the old board is reset. */
  readonly drainMs: number;
  /** Milliseconds without a packet after which a flow without an outstanding request is taken to be between two of them. */
  readonly quietMs: number;
}

/** Addresses inside the point-to-point links of one family; `prefixLength` is what the boards configure. */
export interface BoardLinks {
  readonly a: string;
  readonly b: string;
  readonly host: string;
  readonly prefixLength: number;
}

export interface RoutedPlan {
  readonly names: SystemNames;
  /** The card towards the outside. */
  readonly uplink: string;
  /** A family that has services has links; one that has none is left alone on the host and never leaves a board. */
  readonly links: Readonly<Partial<Record<Family["name"], BoardLinks>>>;
  /** Of both families together; at most 255, and as many as `markMask` has numbers for. */
  readonly services: readonly PlannedService[];
  /** The bits of conntrack's marks that are ours; the others are another program's. */
  readonly markMask: number;
  /** What a board begins leaves with the uplink's address; with the board's own otherwise, which the outside then must know. */
  readonly masquerade: boolean;
  /** Where the host's own settings are kept until they are put back. */
  readonly stateDirectory: string;
}

/** The families that the boards speak, with their links. */
export function linkedFamilies(plan: RoutedPlan): { readonly family: Family; readonly links: BoardLinks }[] {
  return families.flatMap((family) => {
    const links = plan.links[family.name];
    return links === undefined ? [] : [{ family, links }];
  });
}

/** Services of a family, each with its index in the plan, by which its flows are marked. */
export function servicesOf(
  plan: RoutedPlan,
  family: Family,
): { readonly service: PlannedService; readonly index: number }[] {
  return plan.services.flatMap((service, index) =>
    familyOf(service.address) === family ? [{ service, index }] : [],
  );
}

/** Errors: `internal` for a family without links. */
export function linksOf(plan: RoutedPlan, family: Family): BoardLinks {
  const links = plan.links[family.name];
  if (links === undefined) throw new TwinboardError("internal", { detail: `no ${family.name} on the links` });
  return links;
}
