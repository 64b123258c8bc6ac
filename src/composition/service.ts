/** All services of a configuration as one: the network's switch in its wiring, and what is leased around its takeovers. */
import type { Board, BoardName } from "../board/board.ts";
import type { Config } from "../config/config.ts";
import { ComposedService } from "../service/composed.ts";
import { NetworkSwitch } from "../service/network/switch.ts";
import type { Service } from "../service/service.ts";
import type { Finding } from "../system/finding.ts";
import { systemNames } from "../system/names.ts";
import { leasedFindings, leasedOf } from "./leased.ts";
import { networkFindings, wiringOf } from "./network.ts";

/** @param owner whom the boards' processes run as */
export function serviceOf(
  config: Config,
  owner: { readonly uid: number; readonly gid: number },
  boards: Readonly<Record<BoardName, Board>>,
): Service {
  const network = new NetworkSwitch(systemNames(config.system), config.stateDirectory, wiringOf(config));
  const leased = leasedOf(config, owner, boards);
  // What follows the network asks it who holds before each takeover and after it, which is time without service.
  return leased.length === 0 ? network : new ComposedService(network, leased);
}

/** What the services need of the host. Changes nothing. */
export async function serviceFindings(config: Config, signal: AbortSignal): Promise<Finding[]> {
  return [...(await networkFindings(config, signal)), ...(await leasedFindings(config, signal))];
}
