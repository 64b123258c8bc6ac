/** The lab of the benches whose boards carry one identity: bridged, and two cards. */
import type { BoardName } from "../../src/board/board.ts";
import { bridgedLab } from "../../test/fixtures/bridged/lab.ts";
import { outsideAddresses, type SwitchLab } from "../../test/fixtures/switch-lab.ts";
import type { DatagramTraffic } from "../../test/fixtures/traffic/traffic.ts";
import { twoCardsLab } from "../../test/fixtures/two-cards/lab.ts";

export async function switchedLab(way: "bridged" | "two-cards"): Promise<SwitchLab> {
  return way === "bridged" ? await bridgedLab("bench-bridged") : await twoCardsLab("bench-cards");
}

/**
 * A board that was holder seconds ago knows its neighbours still, which a fresh one does not: lets the standby forget them, and ask for
 * them as it can.
 */
export async function freshen(lab: SwitchLab, traffic: DatagramTraffic, standby: BoardName): Promise<void> {
  await lab.forgetNeighbours(standby);
  for (const address of Object.values(outsideAddresses)) await traffic.knock(standby, address);
}
