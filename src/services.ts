/** What carries a configuration's services: the wiring of its network, and the drivers of what is leased. */
import type { BoardName } from "./board/board.ts";
import type { BoardIdentity, CardAddress } from "./board/qemu/command-line.ts";
import type {
  BoardAddresses,
  BridgedNetwork,
  Config,
  IdentityAddress,
  NetworkConfig,
  NetworkIdentity,
  RoutedNetwork,
  TwoCardsNetwork,
} from "./config/config.ts";
import { TwinboardError } from "./errors.ts";
import { BridgedWiring } from "./service/bridged/bridged.ts";
import { bridgedFindings } from "./service/bridged/host.ts";
import type { BridgedPlan } from "./service/bridged/plan.ts";
import { ComposedService } from "./service/composed.ts";
import type { SharedIdentity } from "./service/network/identity.ts";
import { NetworkSwitch } from "./service/network/switch.ts";
import type { Wiring } from "./service/network/wiring.ts";
import { routedFindings } from "./service/routed/host.ts";
import type { RoutedPlan } from "./service/routed/plan.ts";
import { RoutedWiring } from "./service/routed/routed.ts";
import type { Service } from "./service/service.ts";
import type { Finding } from "./system/finding.ts";
import { type SystemNames, systemNames } from "./system/names.ts";

export function serviceOf(config: Config): Service {
  const { system, stateDirectory } = config;
  const network = new NetworkSwitch(systemNames(system), stateDirectory, wiringOf(config));
  return new ComposedService(network, []);
}

function wiringOf({ network, ...config }: Config): Wiring {
  if (network.mode === "routed") return new RoutedWiring(routedPlan(config, network));
  if (network.mode === "bridged") return new BridgedWiring(bridgedPlan(config, network));
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
  if (network.mode === "bridged") return await bridgedFindings(bridgedPlan(config, network), signal);
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

/** What a board's service card is told to be. */
export function identityOf(network: NetworkConfig, names: SystemNames, name: BoardName): BoardIdentity {
  if (network.mode === "bridged" || network.mode === "two-cards") return sharedIdentity(network, names);
  if (network.mode !== "routed") throw new TwinboardError("internal", { detail: "boards of another mode" });
  const { boards, boards6 } = network;
  const on = (addresses: BoardAddresses): CardAddress => ({
    address: `${addresses[name]}/${addresses.prefixLength}`,
    gateway: addresses.host,
  });
  const mac = names.mac(name, "service");
  return { mac, ipv4: on(boards), ...(boards6 === undefined ? {} : { ipv6: on(boards6) }), wire: "link" };
}

/** Both boards are the same to the outside. */
function sharedIdentity(
  { identity: { mac, ipv4, ipv6 } }: BridgedNetwork | TwoCardsNetwork,
  names: SystemNames,
): BoardIdentity {
  return {
    mac: mac ?? names.sharedMac,
    ...(ipv4 === undefined ? {} : { ipv4: told(ipv4) }),
    ...(ipv6 === undefined ? {} : { ipv6: told(ipv6) }),
    wire: "shared",
  };
}

function told({ address, prefixLength, gateway }: IdentityAddress): CardAddress {
  return { address: `${address}/${prefixLength}`, ...(gateway === null ? {} : { gateway }) };
}
