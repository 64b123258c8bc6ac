/** What each value allows by itself and the values together do not. */
import { isIPv6 } from "node:net";
import { ofBoards } from "./board-contradictions.ts";
import { cardName, defaultMarkMask } from "./config.ts";
import type { Contradiction } from "./contradiction.ts";
import { ofLeased } from "./leased-contradictions.ts";
import { ofLines } from "./line-contradictions.ts";
import { canonical, holds, isLinkLocal6, networkOf } from "./network-address.ts";
import { isNetworkService } from "./network-service.ts";
import type { ConfigDocument } from "./schema.ts";
import { ofServices } from "./service-contradictions.ts";

/** Every contradiction of a document; the later of two that exclude each other is named. */
export function contradictions(document: ConfigDocument): Contradiction[] {
  const found: Contradiction[] = [];
  const take = (seen: Set<string>, key: string, path: (string | number)[], message: string): void => {
    if (seen.has(key)) found.push({ path, message });
    seen.add(key);
  };

  const names = new Set<string>();
  for (const [index, { name }] of (document.services ?? []).entries())
    take(names, name, ["services", index, "name"], `another service is named ${name}`);

  found.push(...ofServices(document), ...ofMode(document), ...ofLines(document), ...ofLeased(document));
  found.push(...ofBoards(document), ...tooFewBits(document));

  const checks = new Set<string>();
  for (const [index, check] of (document.health ?? []).entries())
    take(checks, check.name, ["health", index, "name"], `another check is named ${check.name}`);

  return found;
}

type Mode = "routed" | "bridged" | "two-cards" | "none";
type NetworkKey = Exclude<keyof ConfigDocument["network"], "mode">;

const identityModes: readonly Mode[] = ["bridged", "two-cards"];
/** In which modes a key of `network` means something, and where it must be there. */
const keysOfModes: Readonly<Record<NetworkKey, { readonly in: readonly Mode[]; readonly needed?: true }>> = {
  uplink: { in: ["routed", "bridged"], needed: true },
  uplinks: { in: ["two-cards"], needed: true },
  boards: { in: ["routed"] },
  boards6: { in: ["routed"] },
  "mark-mask": { in: ["routed"] },
  masquerade: { in: ["routed"] },
  mac: { in: identityModes },
  address: { in: identityModes },
  address6: { in: identityModes },
  gateway: { in: identityModes },
  gateway6: { in: identityModes },
  linger: { in: identityModes },
  vlan: { in: ["bridged"] },
  vlans: { in: identityModes },
};

/** What does not go together with the way in which the boards are joined to the outside. */
function ofMode({ network, services = [] }: ConfigDocument): Contradiction[] {
  const { mode = "routed" } = network;
  const found: Contradiction[] = [];
  for (const [key, { in: modes, needed }] of Object.entries(keysOfModes)) {
    const given = network[key as NetworkKey] !== undefined;
    if (given && !modes.includes(mode))
      found.push({
        path: ["network", key],
        message: `means nothing in mode ${mode}, only in ${modes.join(" and ")}`,
      });
    else if (!given && needed && modes.includes(mode))
      found.push({ path: ["network", key], message: `is missing, mode ${mode} needs it` });
  }
  if ((mode === "routed" || mode === "none") && services.length === 0)
    found.push({
      path: ["services"],
      message: `expected at least one service: mode ${mode} moves nothing else`,
    });
  if (mode !== "routed")
    for (const [index, service] of services.entries()) {
      if (!isNetworkService(service)) continue;
      const { protocol } = service;
      found.push({
        path: ["services", index, "protocol"],
        message: `${protocol} services are for mode routed: in mode ${mode} everything on the card moves at once, whatever its port`,
      });
    }
  return [...found, ...ofIdentity(network)];
}

function ofIdentity({ mode, uplinks, ...network }: ConfigDocument["network"]): Contradiction[] {
  const found: Contradiction[] = [];
  if (mode === "two-cards" && uplinks !== undefined) found.push(...ofUplinks(uplinks, network));
  for (const [addressKey, gatewayKey] of [
    ["address", "gateway"],
    ["address6", "gateway6"],
  ] as const) {
    const { [addressKey]: address, [gatewayKey]: gateway } = network;
    if (gateway === undefined) continue;
    const [own, length] = address?.split("/") ?? [];
    if (own === undefined)
      found.push({ path: ["network", gatewayKey], message: `means nothing without network.${addressKey}` });
    else if (isIPv6(own) !== isIPv6(gateway))
      found.push({ path: ["network", gatewayKey], message: `is of another family than ${own}` });
    else if (canonical(own) === canonical(gateway))
      found.push({ path: ["network", gatewayKey], message: `is the boards' own address` });
    else if (!reaches(own, Number(length), gateway))
      found.push({ path: ["network", gatewayKey], message: `is not in the network of ${address}` });
  }
  for (const [index, vlan] of (network.vlans ?? []).entries())
    if (vlan === network.vlan || network.vlans?.indexOf(vlan) !== index)
      found.push({ path: ["network", "vlans", index], message: `VLAN ${vlan} is named already` });
  return found;
}

type Network = ConfigDocument["network"];

function ofUplinks({ a, b }: NonNullable<Network["uplinks"]>, { linger, vlans }: Network): Contradiction[] {
  const at = ["network", "uplinks", "b"];
  if (typeof a !== typeof b)
    return [{ path: at, message: "is passed through or not as that of board a: expected two of one kind" }];
  if (cardName(a) === cardName(b)) return [{ path: at, message: `board a has ${cardName(a)} already` }];
  if (typeof a === "string") return [];
  const message = "means nothing with cards that the boards have for themselves";
  return [
    ...(linger === undefined ? [] : [{ path: ["network", "linger"], message }]),
    ...(vlans === undefined ? [] : [{ path: ["network", "vlans"], message }]),
  ];
}

/** Whether a gateway is on the wire itself. */
function reaches(address: string, length: number, gateway: string): boolean {
  const network = networkOf(address, length);
  return isLinkLocal6(gateway) || (network !== undefined && holds(network, gateway));
}

/** Of a flow's mark ten bits say where its ends stand and two are the board's (`service/routed/marks.ts`); the rest numbers the services from 1. */
const bitsBesideTheNumber = 12;

function tooFewBits({ network, services: all = [] }: ConfigDocument): Contradiction[] {
  const services = all.filter(isNetworkService);
  const mask = network["mark-mask"] ?? defaultMarkMask;
  const has = mask.toString(2).replaceAll("0", "").length;
  const numbered = services.filter(
    ({ protocol, flows }) => protocol !== "icmp" && flows !== "stateless",
  ).length;
  const needed = bitsBesideTheNumber + numbered.toString(2).length;
  if (has >= needed) return [];
  const message = `${numbered === 1 ? "1 service needs" : `${numbered} services need`} a mask of ${needed} bits, 0x${mask.toString(16).padStart(8, "0")} has ${has}`;
  return [{ path: ["network", "mark-mask"], message }];
}
