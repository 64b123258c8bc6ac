/** What a routed service is made from: pure data, out of the configuration. */
import { TwinboardError } from "../../errors.ts";
import type { SystemNames } from "../../system/names.ts";
import { type Family, families, familyOf } from "../network/family.ts";

/** Ports of an address, as the outside sees them and as the boards do. */
export interface Endpoint {
  readonly name: string;
  /** IPv4 or IPv6, the latter as the kernel prints it (RFC 5952). */
  readonly address: string;
  readonly port: number;
  /** The last one, if it is a range that begins at `port`. */
  readonly lastPort?: number;
  /** Port inside the board, if it is another; not with a range. */
  readonly insidePort?: number;
}

/** A service whose flows are tracked: each stays with the board that it began with. */
export interface PlannedService extends Endpoint {
  readonly protocol: "tcp" | "udp";
  /** Milliseconds after a takeover until what is left on the old board is reset (TCP), or moved (UDP). */
  readonly drainMs: number;
  /**
   * TCP: milliseconds without a packet after which a flow without an outstanding request is taken to be between two of them.
   * UDP: milliseconds without a datagram after which a flow of the old board is moved; infinite: at the deadline alone.
   */
  readonly quietMs: number;
}

/** A service whose datagrams are each on their own: the next one goes to the holder, whoever answered the last. */
export type StatelessService = StatelessDatagrams | Echo;

export interface StatelessDatagrams extends Endpoint {
  readonly protocol: "udp";
  /** Milliseconds after a takeover during which the old board may still answer what it was asked. */
  readonly drainMs: number;
}

/** The address answers echo requests (RFC 792, RFC 4443) as long as the board that holds does. At most one in each family. */
export interface Echo {
  readonly name: string;
  readonly protocol: "icmp";
  readonly address: string;
  readonly drainMs: number;
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
  /** They are not tracked, and have no number. */
  readonly stateless: readonly StatelessService[];
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

/** Ports as nftables writes them (nft(8), "Sets"). */
export function portsOf({ port, lastPort }: Pick<Endpoint, "port" | "lastPort">): string {
  return lastPort === undefined ? String(port) : `${port}-${lastPort}`;
}

/** Ports as the boards see them. */
export function insidePortsOf({ insidePort, ...ports }: Endpoint): string {
  return insidePort === undefined ? portsOf(ports) : String(insidePort);
}

/** Sets with ranges are of another kind, and slower (nft(8), `flags interval`). */
export function rangeFlag(services: readonly Pick<Endpoint, "lastPort">[]): string {
  return services.some(({ lastPort }) => lastPort !== undefined) ? "flags interval;" : "";
}

/** Errors: `internal` for a family without links. */
export function linksOf(plan: RoutedPlan, family: Family): BoardLinks {
  const links = plan.links[family.name];
  if (links === undefined) throw new TwinboardError("internal", { detail: `no ${family.name} on the links` });
  return links;
}
