/** How a configuration's boards are joined to the outside: the wiring of its network. A new way is a line in each of these. */
import type {
  BridgedNetwork,
  Config,
  NetworkConfig,
  NetworkIdentity,
  RoutedNetwork,
} from "../config/config.ts";
import { TwinboardError } from "../errors.ts";
import { BridgedWiring } from "../service/bridged/bridged.ts";
import { bridgedFindings } from "../service/bridged/host.ts";
import type { BridgedPlan } from "../service/bridged/plan.ts";
import type { SharedIdentity } from "../service/network/identity.ts";
import type { Wiring } from "../service/network/wiring.ts";
import { routedFindings } from "../service/routed/host.ts";
import type { RoutedPlan } from "../service/routed/plan.ts";
import { RoutedWiring } from "../service/routed/routed.ts";
import { UnwiredWiring } from "../service/unwired/unwired.ts";
import type { Finding } from "../system/finding.ts";
import { type SystemNames, systemNames } from "../system/names.ts";

export function wiringOf({ network, ...config }: Config): Wiring {
  if (network.mode === "routed") return new RoutedWiring(routedPlan(config, network));
  if (network.mode === "bridged") return new BridgedWiring(bridgedPlan(config, network));
  if (network.mode === "none") return new UnwiredWiring();
  throw notYet(network);
}

function notYet({ mode }: NetworkConfig): TwinboardError {
  return new TwinboardError("config-invalid", {
    detail: `network.mode ${mode} is not supported by this version`,
  });
}

/** What the network's way needs of the host. Changes nothing. */
export async function networkFindings(config: Config, signal: AbortSignal): Promise<Finding[]> {
  const { network } = config;
  if (network.mode === "routed") return await routedFindings(routedPlan(config, network), signal);
  if (network.mode === "bridged") return await bridgedFindings(bridgedPlan(config, network), signal);
  if (network.mode === "none") return [];
  throw notYet(network);
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

/** What the outside sees of both boards. */
function shared({ mac, ipv4, ipv6 }: NetworkIdentity, names: SystemNames): SharedIdentity {
  return {
    mac: mac ?? names.sharedMac,
    ...(ipv4 === undefined ? {} : { ipv4: ipv4.address }),
    ...(ipv6 === undefined ? {} : { ipv6: ipv6.address }),
  };
}
