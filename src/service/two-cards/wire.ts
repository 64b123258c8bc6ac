/** A board's own wire: the bridge that its card is a port of, and what leads outside from there. Pure, out of what the kernel tells of its cards. */
import { type BoardName, boardNames } from "../../board/board.ts";
import { TwinboardError } from "../../errors.ts";
import type { Link } from "../../system/links.ts";
import type { BridgedPlan } from "../bridged/plan.ts";
import type { TwoCardsPlan } from "./plan.ts";

type Found = ReadonlyMap<string, Link>;

/** The board's card is put into a bridge of our own; otherwise its uplink is the integrator's bridge. */
export function isOwnBridge({ uplinks, names }: TwoCardsPlan, board: BoardName, found: Found): boolean {
  const uplink = found.get(uplinks[board]);
  return uplink === undefined ? found.has(names.card(board, "bridge")) : uplink.bridge === undefined;
}

/** The board's side of it, as the bridged wiring has it for both boards. */
export function bridgedPlanOf(plan: TwoCardsPlan, board: BoardName, found: Found): BridgedPlan {
  const { names, uplinks, identity, lingerMs, vlans } = plan;
  const uplink = isOwnBridge(plan, board, found) ? names.card(board, "bridge") : uplinks[board];
  const tagged = found.get(uplink)?.bridge?.vlanFiltering === true ? vlans : [];
  return { names, uplink, identity, lingerMs, vlans: { untagged: null, tagged } };
}

/** Ports of the board's bridge that are not ours. */
export function outerPorts(plan: TwoCardsPlan, board: BoardName, found: Found): Link[] {
  const { names } = plan;
  const { uplink: bridge } = bridgedPlanOf(plan, board, found);
  const ours = new Set([names.card(board, "service"), names.card(board, "double")]);
  return [...found.values()].filter(({ name, port }) => port?.bridge === bridge && !ours.has(name));
}

/** Why the outside cannot be reached through the board's wire, as a sentence; `null`: it can. */
export function obstacleOf(plan: TwoCardsPlan, board: BoardName, found: Found): string | null {
  const { uplinks, names } = plan;
  const uplink = found.get(uplinks[board]);
  const { uplink: bridge } = bridgedPlanOf(plan, board, found);
  const ports = outerPorts(plan, board, found);
  if (found.get(bridge)?.up === false) return `${bridge} is down`;
  if (ports.some(({ up, carrier, port }) => up && carrier && port?.state === "forwarding")) return null;
  if (uplink === undefined && ports.length === 0) return `${uplinks[board]} is gone`;
  // Before the daemon has put it into a bridge, or after somebody pulled it out.
  const [port = uplink] = ports;
  if (port === undefined || port.bridge !== undefined) return `no card is plugged into ${bridge}`;
  if (!port.up) return `${port.name} is down`;
  if (!port.carrier) return `${port.name} has no carrier`;
  if (port.port === undefined)
    return found.has(names.card(board, "bridge")) ? `${port.name} is out of its bridge` : null;
  return `${port.name} is ${port.port.state} in ${bridge}`;
}

/**
 * Refuses what cannot be a board's uplink. An addressed card is never put into a bridge: it would lose what its addresses are for.
 * @param addressed which cards have addresses of their own.
 * Errors: `missing-card`, `uplink-unfit`.
 */
export function requireUplink(
  plan: TwoCardsPlan,
  board: BoardName,
  found: Found,
  addressed: readonly { readonly address: string; readonly card: string }[],
): void {
  const uplink = plan.uplinks[board];
  const link = found.get(uplink);
  const whose = `the uplink of board ${board}`;
  if (link === undefined) throw new TwinboardError("missing-card", { detail: `${uplink}, ${whose}` });
  if (link.bridge !== undefined) return;
  const unfit = (detail: string): TwinboardError =>
    new TwinboardError("uplink-unfit", { detail: `${uplink}, ${whose}, ${detail}` });
  const own = plan.names.card(board, "bridge");
  if (link.master !== undefined && link.master !== own)
    throw unfit(`is a part of ${link.master}: name that, if it is a bridge of yours`);
  if (uplink === "lo") throw unfit("leads nowhere");
  if (boardNames.some((other) => other !== board && plan.uplinks[other] === uplink))
    throw unfit("is the other board's too");
  const taken = addressed.find(({ card, address }) => card === uplink && !isLinkLocal(address));
  if (taken !== undefined && link.master === undefined)
    throw unfit(
      `has the address ${taken.address}: name a card without any, or a bridge that you put ${uplink} into, with its address`,
    );
}

/** Every card that is up has one, by itself. */
export function isLinkLocal(address: string): boolean {
  return /^fe[89ab]/i.test(address);
}
