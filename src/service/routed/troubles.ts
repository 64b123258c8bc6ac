/**
 * What keeps the outside from the boards although the rules stand: cards, addresses, routes and settings of the host. Asked all the time,
 * so it reads what the kernel tells without a program.
 */
import { networkInterfaces } from "node:os";
import { type BoardName, boardNames } from "../../board/board.ts";
import { canonicalIpv6 } from "../../system/ipv6-address.ts";
import { hostKey, hostRoutes } from "../../system/kernel-routes.ts";
import { linkNames } from "../../system/links.ts";
import { readSetting } from "../../system/sysctl.ts";
import type { WiringTrouble } from "../network/wiring.ts";
import { type Ipv6Switch, switchesOf } from "./forwarding.ts";
import { linkedFamilies, type RoutedPlan } from "./plan.ts";

export interface RoutedState {
  readonly troubles: readonly WiringTrouble[];
  /** Boards whose cards must be attached again. */
  readonly detached: readonly BoardName[];
}

/** Errors: those of reading /proc. */
export async function stateOf(
  plan: RoutedPlan,
  holder: BoardName | null,
  ipv6Switch: Ipv6Switch,
): Promise<RoutedState> {
  const { uplink, names } = plan;
  const cards = new Set(await linkNames());
  const troubles = cards.has(uplink)
    ? [...(await ofSettings(plan, ipv6Switch)), ...ofAddresses(plan)]
    : [gone(uplink)];
  const routes = await hostRoutes();
  const detached: BoardName[] = [];
  for (const board of boardNames) {
    const card = names.card(board, "service");
    // Without its card a board that does not hold does not run either.
    if (!cards.has(card) && board === holder) troubles.push(lasting(`${card} of board ${board} is gone`));
    if (!cards.has(card) || isAttached(plan, board, routes)) continue;
    detached.push(board);
    troubles.push({ what: `${card} of board ${board} has lost its address or its route`, mendable: true });
  }
  return { troubles, detached };
}

function gone(uplink: string): WiringTrouble {
  return lasting(`the uplink ${uplink} is gone`);
}

function lasting(what: string): WiringTrouble {
  return { what, mendable: false };
}

async function ofSettings(plan: RoutedPlan, ipv6Switch: Ipv6Switch): Promise<WiringTrouble[]> {
  const found: WiringTrouble[] = [];
  for (const { family } of linkedFamilies(plan)) {
    const values = await Promise.all(switchesOf(family.name, plan.uplink, ipv6Switch).map(valueOf));
    if (values.includes("1")) continue;
    const what = `${family.name} packets from ${plan.uplink} are not passed on: somebody switched it off`;
    found.push({ what, mendable: true });
  }
  return found;
}

async function valueOf(setting: string): Promise<string> {
  return await readSetting(setting).catch(() => "");
}

/** A card that is down, or has nothing at the other end of its wire, tells none of its addresses here. */
function ofAddresses({ uplink, services, stateless }: RoutedPlan): WiringTrouble[] {
  const interfaces = networkInterfaces();
  if (interfaces[uplink] === undefined) return [lasting(`the uplink ${uplink} is down, or has no link`)];
  const there = addressesOf(Object.values(interfaces).flat());
  const missing = new Set(
    [...services, ...stateless].map(({ address }) => address).filter((address) => !there.has(address)),
  );
  return [...missing].map((address) => ({
    what: `the host does not have ${address} any more`,
    mendable: true,
  }));
}

function isAttached(plan: RoutedPlan, board: BoardName, routes: ReadonlySet<string>): boolean {
  const card = plan.names.card(board, "service");
  const told = networkInterfaces()[card];
  const there = addressesOf(told ?? []);
  return linkedFamilies(plan).every(
    ({ links }) => routes.has(hostKey(links[board], card)) && (told === undefined || there.has(links.host)),
  );
}

function addressesOf(
  told: readonly ({ readonly address: string; readonly family: string } | undefined)[],
): ReadonlySet<string> {
  return new Set(
    told.flatMap((one) => {
      if (one === undefined) return [];
      return one.family === "IPv6" ? canonicalIpv6(one.address) : one.address;
    }),
  );
}
