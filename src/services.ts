/** What carries a configuration's services: the wiring of its network, and the drivers of what is leased. */
import type { Config, NetworkConfig, RoutedNetwork } from "./config/config.ts";
import { TwinboardError } from "./errors.ts";
import { ComposedService } from "./service/composed.ts";
import { NetworkSwitch } from "./service/network/switch.ts";
import type { Wiring } from "./service/network/wiring.ts";
import { routedFindings } from "./service/routed/host.ts";
import type { RoutedPlan } from "./service/routed/plan.ts";
import { RoutedWiring } from "./service/routed/routed.ts";
import type { Service } from "./service/service.ts";
import type { Finding } from "./system/finding.ts";
import { systemNames } from "./system/names.ts";

export function serviceOf(config: Config): Service {
  const { system, stateDirectory } = config;
  const network = new NetworkSwitch(systemNames(system), stateDirectory, wiringOf(config));
  return new ComposedService(network, []);
}

function wiringOf({ network, ...config }: Config): Wiring {
  if (network.mode === "routed") return new RoutedWiring(routedPlan(config, network));
  throw notYet(network);
}

function notYet({ mode }: NetworkConfig): TwinboardError {
  return new TwinboardError("config-invalid", {
    detail: `network.mode ${mode} is not supported by this version`,
  });
}

/** What the services need of the host. Changes nothing. */
export async function serviceFindings(config: Config, signal: AbortSignal): Promise<Finding[]> {
  const { network } = config;
  if (network.mode === "routed") return await routedFindings(routedPlan(config, network), signal);
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
