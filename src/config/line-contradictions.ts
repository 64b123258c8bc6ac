/** What serial lines and streams cannot be together. */
import { isIPv4 } from "node:net";
import { resolve } from "node:path";
import type { Contradiction } from "./contradiction.ts";
import { isLine, type LineService, toLine } from "./line-schema.ts";
import { canonical } from "./network-address.ts";
import { isNetworkService, type NetworkService } from "./network-service.ts";
import type { ConfigDocument } from "./schema.ts";

/** Of a board: ports of QEMU's virtio-serial controller, and of the processor's own and PCI's serial ports. */
const mostLines = 16;

/** Where a line's outside is, and whose it is. */
interface Place {
  readonly owner: string;
  readonly text: string;
  /** Of a stream over TCP. */
  readonly at?: { readonly host: string; readonly port: number; readonly listens: boolean };
}

export function ofLines({ services = [] }: Partial<Pick<ConfigDocument, "services">>): Contradiction[] {
  const found: Contradiction[] = [];
  const places: Place[] = [];
  // A stream cannot listen where connections to a service are sent on to the boards, wherever in the file that stands.
  const others = services.filter(isNetworkService);
  let count = 0;
  for (const [index, service] of services.entries()) {
    if (!isLine(service)) continue;
    count += 1;
    const at = (keys: readonly string[], message: string): void =>
      void found.push({ path: ["services", index, ...keys], message });
    if (count > mostLines) at([], `expected at most ${mostLines} serial lines and streams`);
    for (const [key, message] of ofKeys(service)) at([key], message);
    const { keys, place } = placeOf(service);
    const other = places.find((one) => isSame(one, place))?.owner ?? nameOfTaken(others, place);
    if (other !== undefined) at(keys, `service ${other} has ${place.text} already`);
    places.push(place);
  }
  return found;
}

function placeOf(service: LineService): { readonly keys: readonly string[]; readonly place: Place } {
  const { outside, name: owner } = toLine(service);
  if (outside.kind === "serial") return { keys: ["serial"], place: { owner, text: resolve(outside.device) } };
  const { kind, endpoint } = outside;
  const keys = ["stream", kind];
  if ("path" in endpoint) return { keys, place: { owner, text: resolve(endpoint.path) } };
  const host = canonicalHost(endpoint.host);
  const text = host.includes(":") ? `[${host}]:${endpoint.port}` : `${host}:${endpoint.port}`;
  return { keys, place: { owner, text, at: { host, port: endpoint.port, listens: kind === "listen" } } };
}

/** A zone (RFC 4007) is part of a host, and stays as it is written. */
function canonicalHost(host: string): string {
  return host.includes("%") ? host : canonical(host);
}

function isSame(one: Place, two: Place): boolean {
  if (one.text === two.text) return true;
  if (one.at === undefined || two.at === undefined || one.at.port !== two.at.port) return false;
  if (!one.at.listens || !two.at.listens) return false;
  return isEverywhere(one.at.host, two.at.host) || isEverywhere(two.at.host, one.at.host);
}

/** Who listens on the address of no host listens on all of the family, and in IPv6 on those of IPv4 too (ipv6(7), IPV6_V6ONLY). */
function isEverywhere(host: string, address: string): boolean {
  return host === "::" || (host === "0.0.0.0" && isIPv4(address));
}

/** The network service that has the stream's address and port. */
function nameOfTaken(others: readonly NetworkService[], { at }: Place): string | undefined {
  if (at === undefined) return undefined;
  const taken = others.find(({ protocol, address, port }) => {
    const own = canonical(address);
    const meets = own === at.host || (at.listens && isEverywhere(at.host, own));
    return protocol === "tcp" && meets && port !== undefined && port.first <= at.port && at.port <= port.last;
  });
  return taken?.name;
}

function ofKeys(service: LineService): [key: string, message: string][] {
  if (!("serial" in service)) return [];
  const found: [string, string][] = [];
  if (service["flow-control"] === "rts-cts" && service.rts !== undefined)
    found.push(["rts", "not with flow-control: rts-cts, which moves it"]);
  if (service["flow-control"] === "xon-xoff" && (service["data-bits"] ?? 8) < 7)
    found.push(["flow-control", `xon-xoff needs at least 7 data-bits, not ${service["data-bits"]}`]);
  return found;
}
