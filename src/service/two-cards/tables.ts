/** The tables of a service on two cards. Pure. */
import { boardNames } from "../../board/board.ts";
import type { Link } from "../../system/links.ts";
import { gateElements, gateFamily, gateFollows, gateRules, strayRules } from "../network/gate.ts";
import { identitySets } from "../network/identity.ts";
import { registerFamily } from "../network/register.ts";
import type { WiringTable } from "../network/wiring.ts";
import type { TwoCardsPlan } from "./plan.ts";
import { isOwnBridge } from "./wire.ts";

export function twoCardsTables(plan: TwoCardsPlan, found: ReadonlyMap<string, Link>): WiringTable[] {
  const { names, identity, gateways, uplinks } = plan;
  const own = boardNames.filter((board) => isOwnBridge(plan, board, found));
  const doubles = {
    ports: boardNames.map((board) => names.card(board, "double")),
    sealed: own.flatMap((board) => [uplinks[board], names.card(board, "service")]),
    ipv4: gateways.ipv4?.address,
    ipv6: gateways.ipv6?.address,
  };
  return [
    { family: registerFamily, rules: strayRules, elements: () => identitySets(identity) },
    {
      family: gateFamily,
      rules: gateRules(names, identity, { standbyAsks: doubles, strangers: "expected" }),
      elements: ({ holder }) => gateElements(names, holder),
      follows: (holder) => gateFollows(names, holder),
    },
  ];
}
