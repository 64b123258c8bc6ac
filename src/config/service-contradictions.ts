/** What services of mode `routed` cannot be together, and what the keys of one cannot. */
import { isIPv6 } from "node:net";
import { defaultBoards6Prefix, defaultBoardsPrefix } from "./config.ts";
import type { Contradiction } from "./contradiction.ts";
import { canonical, holds, parsePrefix } from "./network-address.ts";
import { isNetworkService, type NetworkService } from "./network-service.ts";
import type { ConfigDocument } from "./schema.ts";

/** A protocol's ports in one place: an address outside, or the boards' side of a family. */
interface Taken {
  readonly place: string;
  readonly first: number;
  readonly last: number;
}

export function ofServices({ network, services = [] }: ConfigDocument): Contradiction[] {
  const prefixes = {
    four: { key: "network.boards", prefix: parsePrefix(network.boards ?? defaultBoardsPrefix) },
    six: { key: "network.boards6", prefix: parsePrefix(network.boards6 ?? defaultBoards6Prefix) },
  };
  const outside: Taken[] = [];
  const inside: Taken[] = [];
  return services.flatMap((service, index) => {
    if (!isNetworkService(service)) return [];
    const at = (key: string, message: string): Contradiction => ({ path: ["services", index, key], message });
    const found = ofKeys(service).map(([key, message]) => at(key, message));
    const address = canonical(service.address);
    const family = isIPv6(address) ? prefixes.six : prefixes.four;
    const shown = isIPv6(address) ? `[${address}]` : address;
    const { protocol, port = { first: 0, last: 0 } } = service;
    const key = protocol === "icmp" ? "address" : "port";
    const clash = overlap(outside, { place: `${protocol} ${shown}`, ...port });
    if (clash !== undefined) {
      const what = protocol === "icmp" ? `${protocol} ${address}` : `${protocol} ${shown}:${portText(clash)}`;
      found.push(at(key, `another service has ${what}`));
    }
    const ofBoards = service["inside-port"] === undefined ? port : single(service["inside-port"]);
    // The boards tell the two families apart, so one port may serve both.
    const inner = overlap(inside, { place: `${family.key} ${protocol}`, ...ofBoards });
    if (inner !== undefined && clash === undefined) {
      const message =
        protocol === "icmp"
          ? "another service answers echo requests of this family: the boards could not tell them apart"
          : `another service reaches port ${portText(inner)} inside the boards: give one of them an inside-port of its own`;
      found.push(
        at(protocol !== "icmp" && service["inside-port"] !== undefined ? "inside-port" : key, message),
      );
    }
    if (family.prefix !== undefined && holds(family.prefix, address))
      found.push(
        at("address", `${address} lies inside ${family.key}, which is private to the host and its boards`),
      );
    return found;
  });
}

/** Notes what is taken. @returns the ports that were taken before. */
function overlap(taken: Taken[], wanted: Taken): Pick<Taken, "first" | "last"> | undefined {
  const found = taken.find(
    ({ place, first, last }) => place === wanted.place && first <= wanted.last && wanted.first <= last,
  );
  taken.push(wanted);
  if (found === undefined) return undefined;
  return { first: Math.max(found.first, wanted.first), last: Math.min(found.last, wanted.last) };
}

function single(port: number): { readonly first: number; readonly last: number } {
  return { first: port, last: port };
}

function portText({ first, last }: Pick<Taken, "first" | "last">): string {
  return first === last ? String(first) : `${first}-${last}`;
}

function ofKeys(service: NetworkService): [key: string, message: string][] {
  const { protocol, flows, port } = service;
  const found: [string, string][] = [];
  if (protocol === "icmp") {
    for (const key of ["port", "inside-port", "quiet", "flows"] as const)
      if (service[key] !== undefined) found.push([key, "means nothing with protocol icmp"]);
    return found;
  }
  if (port === undefined) found.push(["port", `is missing, protocol ${protocol} needs it`]);
  else if (port.first !== port.last && service["inside-port"] !== undefined)
    found.push(["inside-port", "not with a range of ports, which are the same inside the boards"]);
  if (protocol === "udp" && flows === undefined)
    found.push([
      "flows",
      "is missing: stateless (each datagram goes to the board in service) or session (QUIC, SIP)",
    ]);
  if (protocol === "tcp" && flows !== undefined)
    found.push(["flows", "is for protocol udp: TCP has sessions"]);
  if (flows === "stateless" && service.quiet !== undefined)
    found.push(["quiet", "means nothing with flows: stateless"]);
  return found;
}
