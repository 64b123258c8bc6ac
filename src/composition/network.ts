/** How a configuration's boards are joined to the outside: the wiring of its network. A new way is a line in each of these. */
import type {
  BridgedNetwork,
  Config,
  IdentityAddress,
  NetworkIdentity,
  RoutedNetwork,
  TwoCardsNetwork,
} from "../config/config.ts";
import { BridgedWiring } from "../service/bridged/bridged.ts";
import { bridgedFindings } from "../service/bridged/host.ts";
import type { BridgedPlan } from "../service/bridged/plan.ts";
import type { SharedIdentity } from "../service/network/identity.ts";
import type { Wiring } from "../service/network/wiring.ts";
import { passedThroughFindings } from "../service/passed-through/host.ts";
import { PassedThroughWiring } from "../service/passed-through/passed-through.ts";
import type { PassedThroughPlan } from "../service/passed-through/plan.ts";
import { routedFindings } from "../service/routed/host.ts";
import type { RoutedPlan } from "../service/routed/plan.ts";
import { RoutedWiring } from "../service/routed/routed.ts";
import { twoCardsFindings } from "../service/two-cards/host.ts";
import type { Gateways, TwoCardsPlan } from "../service/two-cards/plan.ts";
import { TwoCardsWiring } from "../service/two-cards/two-cards.ts";
import { UnwiredWiring } from "../service/unwired/unwired.ts";
import type { Finding } from "../system/finding.ts";
import { type SystemNames, systemNames } from "../system/names.ts";

export function wiringOf({ network, ...config }: Config): Wiring {
  if (network.mode === "routed") return new RoutedWiring(routedPlan(config, network));
  if (network.mode === "bridged") return new BridgedWiring(bridgedPlan(config, network));
  if (network.mode === "two-cards")
    return network.passedThrough
      ? new PassedThroughWiring(passedThroughPlan(config, network))
      : new TwoCardsWiring(twoCardsPlan(config, network));
  return new UnwiredWiring();
}

/** What the network's way needs of the host. Changes nothing. */
export async function networkFindings(config: Config, signal: AbortSignal): Promise<Finding[]> {
  const { network } = config;
  if (network.mode === "routed") return await routedFindings(routedPlan(config, network), signal);
  if (network.mode === "bridged") return await bridgedFindings(bridgedPlan(config, network), signal);
  if (network.mode === "two-cards")
    return network.passedThrough
      ? await passedThroughFindings(passedThroughPlan(config, network), systemNames(config.system), signal)
      : await twoCardsFindings(twoCardsPlan(config, network), signal);
  return [];
}

function routedPlan(
  { system, services, stateDirectory }: Pick<Config, "system" | "services" | "stateDirectory">,
  network: RoutedNetwork,
): RoutedPlan {
  const { uplink, boards, boards6, markMask, masquerade } = network;
  const links = { ipv4: boards, ...(boards6 === undefined ? {} : { ipv6: boards6 }) };
  return {
    names: systemNames(system),
    uplink,
    links,
    services: services.filter((service) => service.flows === "session"),
    stateless: services.filter((service) => service.flows === "stateless"),
    markMask,
    masquerade,
    stateDirectory,
  };
}

function bridgedPlan(
  { system }: Pick<Config, "system">,
  { uplink, identity, lingerMs, vlans }: BridgedNetwork,
): BridgedPlan {
  const names = systemNames(system);
  return { names, uplink, identity: shared(identity, names), lingerMs, vlans };
}

function twoCardsPlan(
  { system, stateDirectory }: Pick<Config, "system" | "stateDirectory">,
  { uplinks, identity, lingerMs, vlans }: TwoCardsNetwork,
): TwoCardsPlan {
  const names = systemNames(system);
  const { ipv4, ipv6 } = identity;
  const gateways = { ...gatewayOf("ipv4", ipv4), ...gatewayOf("ipv6", ipv6) };
  return { names, uplinks, identity: shared(identity, names), gateways, lingerMs, vlans, stateDirectory };
}

function passedThroughPlan(
  { system }: Pick<Config, "system">,
  { uplinks, identity }: TwoCardsNetwork,
): PassedThroughPlan {
  return { devices: uplinks, identity: shared(identity, systemNames(system)) };
}

function gatewayOf(family: "ipv4" | "ipv6", own: IdentityAddress | undefined): Gateways {
  if (own === undefined || own.gateway === null) return {};
  return { [family]: { address: own.gateway, prefixLength: own.prefixLength } };
}

/** What the outside sees of both boards. */
function shared({ mac, ipv4, ipv6 }: NetworkIdentity, names: SystemNames): SharedIdentity {
  return {
    mac: mac ?? names.sharedMac,
    ...(ipv4 === undefined ? {} : { ipv4: ipv4.address }),
    ...(ipv6 === undefined ? {} : { ipv6: ipv6.address }),
  };
}
