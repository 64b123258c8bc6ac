/**
 * The identity that both boards carry where the outside sees them as one host: a MAC address, and addresses. The register's table keeps it
 * beside the holder, so that a daemon with another configuration knows what the boards that run were told when they booted.
 */
import { boardNames } from "../../board/board.ts";
import { TwinboardError } from "../../errors.ts";
import { addresses } from "../../system/ip.ts";
import type { Link } from "../../system/links.ts";
import { linkLocalOf, type SystemNames } from "../../system/names.ts";
import { elementsOf, type Standing, set } from "./register.ts";

export interface SharedIdentity {
  /** In lower case. */
  readonly mac: string;
  /** Without a prefix, as the kernel prints them. */
  readonly ipv4?: string;
  readonly ipv6?: string;
}

const macSet = "identity_mac";
const otherMode = "the boards that run were given addresses of another network.mode";

/** IPv6 addresses of a card with this identity: the one it is told, and the link-local one that its kernel gives it. */
export function addresses6Of({ mac, ipv6 }: SharedIdentity): string[] {
  return [...(ipv6 === undefined ? [] : [ipv6]), linkLocalOf(mac)];
}

/** Sets of the register's table that no rule reads. */
export function identitySets({ mac, ipv4, ipv6 }: SharedIdentity): string {
  return [
    set(macSet, "ether_addr", [mac]),
    set("identity4", "ipv4_addr", ipv4 === undefined ? [] : [ipv4]),
    set("identity6", "ipv6_addr", ipv6 === undefined ? [] : [ipv6]),
  ].join("\n");
}

/** For a way of switching in which each board is somebody of its own. Errors: `config-changed`. */
export function refuseAnyIdentity({ holder, sets }: Standing): void {
  if (holder !== null && elementsOf(sets, macSet).length > 0)
    throw new TwinboardError("config-changed", { detail: otherMode });
}

/** A board that serves got its identity when it booted: with another in the rules nothing would reach it. Errors: `config-changed`. */
export function refuseOtherIdentity({ mac, ipv4, ipv6 }: SharedIdentity, { holder, sets }: Standing): void {
  if (holder === null) return;
  const other = (key: string, name: string, wanted: string | undefined): string[] => {
    const found = elementsOf(sets, name).map(String)[0];
    if (found === wanted) return [];
    return [`${key} is ${wanted ?? "not there"}, the boards that run have ${found ?? "none"}`];
  };
  const [first] = [
    ...(sets.some(({ name }) => name === macSet) ? [] : [otherMode]),
    ...other("network.mac", macSet, mac),
    ...other("network.address", "identity4", ipv4),
    ...other("network.address6", "identity6", ipv6),
  ];
  if (first !== undefined) throw new TwinboardError("config-changed", { detail: first });
}

/** Why the identity cannot be the boards'; `undefined`: the host itself has none of it. */
export async function takenByHost(
  { mac, ipv4, ipv6 }: SharedIdentity,
  names: SystemNames,
  found: ReadonlyMap<string, Link>,
): Promise<string | undefined> {
  const ours = new Set(boardNames.map((board) => names.card(board, "service")));
  const same = [...found.values()].find((link) => link.mac === mac && !ours.has(link.name));
  if (same !== undefined) return `${same.name} of this host has the MAC address ${mac} itself`;
  const own = (await addresses()).find(({ address }) => address === ipv4 || address === ipv6);
  return own === undefined ? undefined : `${own.card} of this host has ${own.address} itself`;
}
