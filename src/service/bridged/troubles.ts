/** What keeps the outside from the boards on the bridge, although the rules stand. */
import { type BoardName, boardNames } from "../../board/board.ts";
import { type Link, linkNames, links } from "../../system/links.ts";
import type { NftSession } from "../../system/nft.ts";
import { gateFamily } from "../network/gate.ts";
import { elementsOf, type Standing } from "../network/register.ts";
import type { WiringTrouble } from "../network/wiring.ts";
import type { BridgedPlan } from "./plan.ts";
import { isJoined } from "./ports.ts";

/** It is asked all the time, and a look at all cards costs some milliseconds of processor time. */
const defaultLookMs = 10_000;

export class BridgedTroubles {
  readonly #plan: BridgedPlan;
  readonly #lookMs: number;
  #seen:
    | { readonly links: ReadonlyMap<string, Link>; readonly names: string; readonly atMs: number }
    | undefined;

  /** @param lookMs how old a look at the cards may be, unless some came or went, or something was wrong. */
  constructor(plan: BridgedPlan, lookMs = defaultLookMs) {
    this.#plan = plan;
    this.#lookMs = lookMs;
  }

  /** Errors: `missing-program`, `command-failed`. */
  async of({ holder }: Standing, nft: NftSession): Promise<WiringTrouble[]> {
    const { names, identity } = this.#plan;
    const strangers = elementsOf((await nft.readSets(gateFamily, names.table)) ?? [], "strangers");
    const ofCards = troublesIn(await this.#look(), this.#plan, holder);
    if (ofCards.length > 0) this.#seen = undefined;
    return [
      ...ofCards,
      ...strangers.map((card) =>
        lasting(
          `behind ${cardOf(card)} somebody sends with the boards' MAC address ${identity.mac}, and is kept out`,
        ),
      ),
    ];
  }

  async #look(): Promise<ReadonlyMap<string, Link>> {
    const names = (await linkNames()).join(" ");
    const now = performance.now();
    const fresh = this.#seen?.names === names && now - this.#seen.atMs < this.#lookMs;
    if (!fresh || this.#seen === undefined) this.#seen = { links: await links(), names, atMs: now };
    return this.#seen.links;
  }
}

function troublesIn(
  found: ReadonlyMap<string, Link>,
  plan: BridgedPlan,
  holder: BoardName | null,
): WiringTrouble[] {
  const { uplink } = plan;
  const bridge = found.get(uplink);
  if (bridge === undefined) return [lasting(`the bridge ${uplink} is gone`)];
  if (bridge.bridge === undefined) return [lasting(`${uplink} is no bridge any more`)];
  return [
    ...(bridge.up ? [] : [lasting(`the bridge ${uplink} is down`)]),
    ...(leadsOutside(found, plan) ? [] : [lasting(`no other port of ${uplink} has a link`)]),
    ...boardNames.flatMap((board) => portTrouble(found, plan, board, board === holder)),
  ];
}

/** Whether anything but the boards is plugged into the bridge. */
export function leadsOutside(found: ReadonlyMap<string, Link>, { uplink, names }: BridgedPlan): boolean {
  const ours = new Set(boardNames.map((board) => names.card(board, "service")));
  return [...found.values()].some(
    ({ name, port, carrier }) => port?.bridge === uplink && carrier && !ours.has(name),
  );
}

function lasting(what: string): WiringTrouble {
  return { what, mendable: false };
}

function portTrouble(
  found: ReadonlyMap<string, Link>,
  plan: BridgedPlan,
  board: BoardName,
  holds: boolean,
): WiringTrouble[] {
  const card = plan.names.card(board, "service");
  const link = found.get(card);
  const whose = `${card} of board ${board}`;
  // Without its card a board that does not hold does not run either.
  if (link === undefined) return holds ? [lasting(`${whose} is gone`)] : [];
  if (isJoined(link, plan)) return [];
  return [{ what: `${whose} is not the port of ${plan.uplink} that it was made`, mendable: true }];
}

/** With a timeout, an element is an object (libnftables-json(5)). */
function cardOf(element: unknown): string {
  const { elem } = Object(element) as { readonly elem?: { readonly val?: unknown } };
  return String(elem?.val ?? element);
}
