/** What each value allows by itself and the values together do not. */
import { isIPv6 } from "node:net";
import { defaultBoards6Prefix, defaultBoardsPrefix, defaultMarkMask } from "./config.ts";
import { canonical, holds, parsePrefix } from "./network-address.ts";
import type { ConfigDocument } from "./schema.ts";

export interface Contradiction {
  /** Keys and indexes that lead to the value to change. */
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** Every contradiction of a document; the later of two that exclude each other is named. */
export function contradictions(document: ConfigDocument): Contradiction[] {
  const found: Contradiction[] = [];
  const take = (seen: Set<string>, key: string, path: (string | number)[], message: string): void => {
    if (seen.has(key)) found.push({ path, message });
    seen.add(key);
  };

  const names = new Set<string>();
  const outside = new Set<string>();
  const inside = new Set<string>();
  const things = new Set<string>();
  const { boards, boards6 } = document.network;
  const four = { key: "network.boards", prefix: parsePrefix(boards ?? defaultBoardsPrefix) };
  const six = { key: "network.boards6", prefix: parsePrefix(boards6 ?? defaultBoards6Prefix) };
  for (const [index, service] of document.services.entries()) {
    const { name } = service;
    take(names, name, ["services", index, "name"], `another service is named ${name}`);
    if (!("protocol" in service)) {
      const [key, what] = ownThing(service);
      if (what !== undefined)
        take(things, what, ["services", index, key], `another service is about ${what}`);
      continue;
    }
    const { protocol, port } = service;
    const address = canonical(service.address);
    const family = isIPv6(address) ? six : four;
    const insidePort = service["inside-port"] ?? port;
    const endpoint = `${protocol} ${isIPv6(address) ? `[${address}]` : address}:${port}`;
    take(outside, endpoint, ["services", index, "port"], `another service has ${endpoint}`);
    take(
      inside,
      // The boards tell the two families apart, so one port may serve both.
      `${family.key} ${protocol} ${insidePort}`,
      ["services", index, service["inside-port"] === undefined ? "port" : "inside-port"],
      `another service reaches port ${insidePort} inside the boards: give one of them an inside-port of its own`,
    );
    if (family.prefix !== undefined && holds(family.prefix, address))
      found.push({
        path: ["services", index, "address"],
        message: `${address} lies inside ${family.key}, which is private to the host and its boards`,
      });
  }

  found.push(...tooFewBits(document));

  const checks = new Set<string>();
  for (const [index, check] of (document.health ?? []).entries())
    take(checks, check.name, ["health", index, "name"], `another check is named ${check.name}`);

  return found;
}

/** The key of a service that is no traffic, and what of the host it has for itself. */
function ownThing(
  service: Exclude<ConfigDocument["services"][number], { protocol: unknown }>,
): readonly [key: string, what: string | undefined] {
  if ("can" in service) return ["can", `CAN bus ${service.can}`];
  if ("device" in service) {
    const { usb, "virtio-blk": disk } = service.device;
    return ["device", disk ?? (usb === undefined ? undefined : `USB device ${usb.toLowerCase()}`)];
  }
  return ["exec", undefined];
}

/** Of a flow's mark ten bits say where its ends stand and two are the board's (`service/routed/marks.ts`); the rest numbers the services from 1. */
const bitsBesideTheNumber = 12;

function tooFewBits({ network, services: all }: ConfigDocument): Contradiction[] {
  const services = all.filter((service) => "protocol" in service);
  const mask = network["mark-mask"] ?? defaultMarkMask;
  const has = mask.toString(2).replaceAll("0", "").length;
  const needed = bitsBesideTheNumber + services.length.toString(2).length;
  if (has >= needed) return [];
  const message = `${services.length === 1 ? "1 service needs" : `${services.length} services need`} a mask of ${needed} bits, 0x${mask.toString(16).padStart(8, "0")} has ${has}`;
  return [{ path: ["network", "mark-mask"], message }];
}
