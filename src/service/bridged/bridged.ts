/**
 * The bridged wiring: the outside's card and the boards' cards are ports of one bridge, both boards carry the same MAC address and the
 * same addresses, and the gate lets the holder alone be heard and speak. Nobody outside learns anything anew at a takeover.
 */
import { type BoardName, boardNames } from "../../board/board.ts";
import { TwinboardError } from "../../errors.ts";
import { forget, type Link, links, whereIs } from "../../system/links.ts";
import type { NftSession } from "../../system/nft.ts";
import { run } from "../../system/process.ts";
import { gateElements, gateFamily, gateRules, gateShut, gateTakeover, strayRules } from "../network/gate.ts";
import { identitySets, refuseOtherIdentity, takenByHost } from "../network/identity.ts";
import { waitOutLinger } from "../network/linger.ts";
import { elementsOf, registerFamily, type Standing } from "../network/register.ts";
import type { DrainOrder, Wiring, WiringTable, WiringTrouble } from "../network/wiring.ts";
import type { DrainResult } from "../service.ts";
import type { BridgedPlan } from "./plan.ts";
import { bridgeOf, isJoined, joinBridge, leaveBridge, untilForwarding } from "./ports.ts";

export class BridgedWiring implements Wiring {
  readonly families = [registerFamily, gateFamily] as const;
  readonly #plan: BridgedPlan;

  constructor(plan: BridgedPlan) {
    this.#plan = plan;
  }

  async checkHost(standing: Standing, signal: AbortSignal): Promise<void> {
    await run("bridge", ["-Version"], { signal });
    const found = await links();
    bridgeOf(found, this.#plan);
    const taken = await takenByHost(this.#plan.identity, this.#plan.names, found);
    if (taken !== undefined) throw new TwinboardError("address-in-use", { detail: taken });
    refuseOtherIdentity(this.#plan.identity, standing);
  }

  tables(): Promise<WiringTable[]> {
    return Promise.resolve(bridgedTables(this.#plan));
  }

  async open(): Promise<void> {
    const { uplink, identity } = this.#plan;
    // What the bridge learned before the gate stood would lead the boards' frames elsewhere for as long as it remembers.
    for (const learned of await whereIs(uplink, identity.mac))
      if (!learned.permanent) await forget(identity.mac, learned);
  }

  async attach(board: BoardName, signal: AbortSignal): Promise<void> {
    await joinBridge(this.#plan, board, signal);
  }

  /** A bridge that is gone or down keeps both boards from the outside alike: no reason to leave the service with a board that failed. */
  async prepare(to: BoardName, _: Standing, signal: AbortSignal): Promise<void> {
    await untilForwarding(this.#plan, to, signal);
  }

  takeover({ holder }: Standing, to: BoardName): string[] {
    const linger = { speaksMs: this.#plan.lingerMs, hearsMs: 0 };
    return gateTakeover(this.#plan.names, holder, to, linger);
  }

  /** The outside goes on speaking with the same address behind the same port. */
  announce(): Promise<void> {
    return Promise.resolve();
  }

  release(): Promise<void> {
    return Promise.resolve();
  }

  shut(_: BoardName, { holder }: Standing): string[] {
    return gateShut(this.#plan.names, holder);
  }

  async drain(order: DrainOrder, _: NftSession, signal: AbortSignal): Promise<DrainResult> {
    return await waitOutLinger(this.#plan.lingerMs, order, signal);
  }

  async troubles({ holder }: Standing, nft: NftSession): Promise<WiringTrouble[]> {
    const { uplink, names, identity } = this.#plan;
    const found = await links();
    const bridge = found.get(uplink);
    if (bridge === undefined) return [lasting(`the bridge ${uplink} is gone`)];
    if (bridge.bridge === undefined) return [lasting(`${uplink} is no bridge any more`)];
    const strangers = elementsOf((await nft.readSets(gateFamily, names.table)) ?? [], "strangers");
    return [
      ...(bridge.up ? [] : [lasting(`the bridge ${uplink} is down`)]),
      ...(leadsOutside(found, this.#plan) ? [] : [lasting(`no other port of ${uplink} has a link`)]),
      ...boardNames.flatMap((board) => portTrouble(found, this.#plan, board, board === holder)),
      ...strangers.map((card) =>
        lasting(
          `behind ${cardOf(card)} somebody sends with the boards' MAC address ${identity.mac}, and is kept out`,
        ),
      ),
    ];
  }

  async mend(signal: AbortSignal): Promise<void> {
    const found = await links();
    if (found.get(this.#plan.uplink)?.bridge === undefined) return;
    for (const board of boardNames) {
      const link = found.get(this.#card(board));
      if (link !== undefined && !isJoined(link, this.#plan)) await this.attach(board, signal);
    }
  }

  /** Both boards share the uplink. */
  wireObstacle(): Promise<null> {
    return Promise.resolve(null);
  }

  watchWire(): () => void {
    return () => undefined;
  }

  async close(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    for (const board of boardNames) await leaveBridge(this.#plan, board);
  }

  #card(board: BoardName): string {
    return this.#plan.names.card(board, "service");
  }
}

export function bridgedTables({ names, identity }: BridgedPlan): WiringTable[] {
  return [
    { family: registerFamily, rules: strayRules, elements: () => identitySets(identity) },
    {
      family: gateFamily,
      rules: gateRules(names, identity, { standbyAsks: "neighbours", strangers: "told" }),
      elements: ({ holder }) => gateElements(names, holder),
    },
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
