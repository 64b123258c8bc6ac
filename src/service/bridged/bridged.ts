/**
 * The bridged wiring: the outside's card and the boards' cards are ports of one bridge, both boards carry the same MAC address and the
 * same addresses, and the gate lets the holder alone be heard and speak. Nobody outside learns anything anew at a takeover.
 */
import { type BoardName, boardNames } from "../../board/board.ts";
import { TwinboardError } from "../../errors.ts";
import { forget, links, whereIs } from "../../system/links.ts";
import type { NftSession } from "../../system/nft.ts";
import { requirePrograms } from "../../system/programs.ts";
import {
  gateElements,
  gateFamily,
  gateFollows,
  gateRules,
  gateShut,
  gateTakeover,
  strayRules,
} from "../network/gate.ts";
import { identitySets, refuseOtherIdentity, takenByHost } from "../network/identity.ts";
import { waitOutLinger } from "../network/linger.ts";
import { registerFamily, type Standing } from "../network/register.ts";
import type { DrainOrder, Wiring, WiringTable, WiringTrouble } from "../network/wiring.ts";
import type { DrainResult } from "../service.ts";
import type { BridgedPlan } from "./plan.ts";
import { bridgeOf, isJoined, isMissingCard, joinBridge, leaveBridge, untilForwarding } from "./ports.ts";
import { BridgedTroubles } from "./troubles.ts";

export class BridgedWiring implements Wiring {
  readonly families = [registerFamily, gateFamily] as const;
  readonly #plan: BridgedPlan;
  readonly #troubles: BridgedTroubles;

  /** @param lookMs of `BridgedTroubles`. */
  constructor(plan: BridgedPlan, lookMs?: number) {
    this.#plan = plan;
    this.#troubles = new BridgedTroubles(plan, lookMs);
  }

  async checkHost(standing: Standing): Promise<void> {
    await requirePrograms({ bridge: "iproute2" });
    const found = await links();
    try {
      bridgeOf(found, this.#plan);
    } catch (error) {
      // What serves already goes on serving, and is told of.
      if (standing.holder === null || !isMissingCard(error)) throw error;
    }
    const taken = await takenByHost(this.#plan.identity, this.#plan.names, found);
    if (taken !== undefined) throw new TwinboardError("address-in-use", { detail: taken });
    refuseOtherIdentity(this.#plan.identity, standing);
  }

  tables(): Promise<WiringTable[]> {
    return Promise.resolve(bridgedTables(this.#plan));
  }

  async open(): Promise<void> {
    const { uplink, identity } = this.#plan;
    if (!(await links()).has(uplink)) return;
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

  async troubles(standing: Standing, nft: NftSession): Promise<WiringTrouble[]> {
    return await this.#troubles.of(standing, nft);
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
      follows: (holder) => gateFollows(names, holder),
    },
  ];
}
