/**
 * The fence of the host-only cards, alike for every wiring: a board speaks there by its link-local address and only to answer the host,
 * and nothing is passed on from or to them. By name of card, so that it holds before the card exists.
 */
import { boardNames } from "../../board/board.ts";
import type { SystemNames } from "../../system/names.ts";

/** Chains and sets of the table of the inet family. */
export function hostOnlyRules(names: SystemNames): string {
  const cards = (role: "mgmt" | "service"): string =>
    boardNames.map((board) => `"${names.card(board, role)}"`).join(", ");
  return `
set cards { type ifname; elements = { ${cards("service")} }; }
set mgmt { type ifname; elements = { ${cards("mgmt")} }; }
chain mgmt_speak {
  type filter hook prerouting priority raw; policy accept;
  iifname != @mgmt accept
  ip6 saddr { ::, fe80::/10 } accept
  drop
}
chain mgmt_forward {
  type filter hook forward priority filter; policy accept;
  iifname @mgmt drop
  oifname @mgmt drop
}
chain mgmt_input {
  type filter hook input priority filter; policy accept;
  iifname != @mgmt accept
  ct direction reply ct state established,related accept
  icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
  drop
}`;
}
