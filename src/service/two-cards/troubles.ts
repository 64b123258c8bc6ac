/** What keeps a board from its wire, for people. Pure, out of what the kernel tells of its cards. */
import type { BoardName } from "../../board/board.ts";
import type { Link } from "../../system/links.ts";
import { isJoined } from "../bridged/ports.ts";
import type { WiringTrouble } from "../network/wiring.ts";
import { isPlugged } from "./own-bridge.ts";
import type { TwoCardsPlan } from "./plan.ts";
import { bridgedPlanOf, isOwnBridge, obstacleOf } from "./wire.ts";

export function boardTroubles(
  plan: TwoCardsPlan,
  board: BoardName,
  found: ReadonlyMap<string, Link>,
  holds: boolean,
): WiringTrouble[] {
  const { names, uplinks } = plan;
  const card = names.card(board, "service");
  const link = found.get(card);
  const ofBoard = bridgedPlanOf(plan, board, found);
  const obstacle = obstacleOf(plan, board, found);
  const troubles: WiringTrouble[] = [];
  if (obstacle !== null)
    troubles.push({ what: `board ${board}: ${obstacle}`, mendable: isOut(plan, board, found) });
  else if (!found.has(uplinks[board]))
    troubles.push(
      lasting(
        `no card is named ${uplinks[board]} any more, the uplink of board ${board}; its bridge leads outside all the same`,
      ),
    );
  // Without its card a board that does not hold does not run either.
  if (link === undefined && holds) troubles.push(lasting(`${card} of board ${board} is gone`));
  if (link !== undefined && !isJoined(link, ofBoard) && found.has(ofBoard.uplink))
    troubles.push({
      what: `${card} of board ${board} is not the port of ${ofBoard.uplink} that it was made`,
      mendable: true,
    });
  return troubles;
}

/** The card is there, and not in the bridge that is made for it. */
export function isOut(plan: TwoCardsPlan, board: BoardName, found: ReadonlyMap<string, Link>): boolean {
  const { names, uplinks } = plan;
  const uplink = found.get(uplinks[board]);
  return (
    uplink !== undefined && isOwnBridge(plan, board, found) && !isPlugged(uplink, names.card(board, "bridge"))
  );
}

export function lasting(what: string): WiringTrouble {
  return { what, mendable: false };
}
