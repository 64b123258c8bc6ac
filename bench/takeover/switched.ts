/** The lab of the benches whose boards carry one identity: bridged, and two cards. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "../../demo/foreground.ts";
import type { BoardName } from "../../src/board/board.ts";
import { bridgedLab } from "../../test/fixtures/bridged/lab.ts";
import {
  outsideAddresses,
  SwitchLab,
  serviceAddresses,
  serviceMac,
  sharedIdentity,
} from "../../test/fixtures/switch-lab.ts";
import type { DatagramTraffic } from "../../test/fixtures/traffic/traffic.ts";

/** The daemon's programs: as that of the routed lab, one for each way of switching. */
const programs = {
  bridged: join(import.meta.dirname, "../../test/fixtures/bridged/daemon.ts"),
  "two-cards": join(import.meta.dirname, "../../test/fixtures/two-cards/daemon.ts"),
} as const;

const identity = { mac: serviceMac, addresses: Object.values(serviceAddresses) };

/** Errors: `UsageError`: there is no daemon that switches so. */
export async function switchedLab(way: "bridged" | "two-cards"): Promise<SwitchLab> {
  const program = programs[way];
  if (!existsSync(program)) throw new UsageError(`${way} is not there yet: there is no ${program}`);
  const common = { boards: sharedIdentity, program };
  return way === "bridged"
    ? await bridgedLab("bench-bridged")
    : await SwitchLab.make("bench-cards", {
        ...common,
        uplinks: ["up0", "up1"],
        deviceAddressed: false,
        settings: { uplinks: { a: "up0", b: "up1" }, ...identity },
      });
}

/**
 * A board that was holder seconds ago knows its neighbours still, which a fresh one does not: lets the standby forget them, and ask for
 * them as it can.
 */
export async function freshen(lab: SwitchLab, traffic: DatagramTraffic, standby: BoardName): Promise<void> {
  await lab.forgetNeighbours(standby);
  for (const address of Object.values(outsideAddresses)) await traffic.knock(standby, address);
}
