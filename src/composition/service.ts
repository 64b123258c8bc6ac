/** All services of a configuration as one: the network's switch in its wiring, and what is leased around its takeovers. */
import type { Config } from "../config/config.ts";
import { ComposedService } from "../service/composed.ts";
import { NetworkSwitch } from "../service/network/switch.ts";
import type { Service } from "../service/service.ts";
import type { Finding } from "../system/finding.ts";
import { systemNames } from "../system/names.ts";
import { leasedFindings, leasedOf } from "./leased.ts";
import { networkFindings, wiringOf } from "./network.ts";

/** @param uid whom the boards' processes run as */
export function serviceOf(config: Config, uid: number): Service {
  const network = new NetworkSwitch(systemNames(config.system), config.stateDirectory, wiringOf(config));
  return new ComposedService(network, leasedOf(config, uid));
}

/** What the services need of the host. Changes nothing. */
export async function serviceFindings(config: Config, signal: AbortSignal): Promise<Finding[]> {
  return [...(await networkFindings(config, signal)), ...(await leasedFindings(config))];
}
