/**
 * The bridged wiring: the outside's card and the boards' cards are ports of one bridge, both boards carry the same MAC address and the
 * same addresses, and the gate lets the holder alone be heard and speak. Nobody outside learns anything anew at a takeover.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type BoardName, boardNames } from "../../board/board.ts";
import { TwinboardError } from "../../errors.ts";
import { addresses } from "../../system/ip.ts";
import { forget, type Link, links, whereIs } from "../../system/links.ts";
import type { NftSession } from "../../system/nft.ts";
import { run } from "../../system/process.ts";
import { gateElements, gateFamily, gateRules, gateShut, gateTakeover } from "../network/gate.ts";
import { identitySets, refuseOtherIdentity } from "../network/identity.ts";
import { registerFamily, type Standing } from "../network/register.ts";
import type { DrainOrder, Wiring, WiringTable, WiringTrouble } from "../network/wiring.ts";
import type { DrainResult } from "../service.ts";
import type { BridgedPlan } from "./plan.ts";
import { bridgeOf, isJoined, joinBridge, leaveBridge } from "./ports.ts";
import { BridgedTroubles } from "./troubles.ts";

/** What the old board has sent may be on its way through the host for so long after its linger. */
const settleMs = 30;
/** A bridge that speaks STP lets a new port wait for twice its forward delay, which is 15 s unless it was told another. */
const forwardingTimeoutMs = 65_000;
const forwardingLookMs = 100;

export class BridgedWiring implements Wiring {
  readonly families = [registerFamily, gateFamily] as const;
  readonly #plan: BridgedPlan;
  readonly #troubles: BridgedTroubles;

  /** @param lookMs of `BridgedTroubles`. */
  constructor(plan: BridgedPlan, lookMs?: number) {
    this.#plan = plan;
    this.#troubles = new BridgedTroubles(plan, lookMs);
  }

  async checkHost(standing: Standing, signal: AbortSignal): Promise<void> {
    await run("bridge", ["-Version"], { signal });
    const found = await links();
    bridgeOf(found, this.#plan);
    const taken = await takenByHost(this.#plan, found);
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
    const card = this.#card(to);
    const deadline = performance.now() + forwardingTimeoutMs;
    for (;;) {
      const { state } = (await links()).get(card)?.port ?? {};
      if (state !== "listening" && state !== "learning") return;
      if (performance.now() > deadline)
        throw new TwinboardError("takeover-failed", {
          detail: `port ${card} of ${this.#plan.uplink} is still ${state}`,
        });
      await sleep(forwardingLookMs, undefined, { signal });
    }
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

  /** Nobody tracks flows here. What a board had begun gets its answers out while it lingers; connections are reset by the new holder. */
  async drain(
    { sinceMs, atOnce, onProgress }: DrainOrder,
    _: NftSession,
    signal: AbortSignal,
  ): Promise<DrainResult> {
    const began = performance.now();
    onProgress?.(nothingLeft);
    signal.throwIfAborted();
    const wholeMs = this.#plan.lingerMs + settleMs;
    // The clock may have been set meanwhile.
    const leftMs = Math.min(wholeMs, Math.max(0, sinceMs + wholeMs - Date.now()));
    if (atOnce !== true && leftMs > 0)
      await sleep(leftMs, undefined, { signal }).catch(() => signal.throwIfAborted());
    return { ...nothingLeft, ms: performance.now() - began, remarks: [] };
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

const nothingLeft = { left: 0, finished: 0, closedEarly: 0, cut: 0, services: {} } as const;

export function bridgedTables({ names, identity }: BridgedPlan): WiringTable[] {
  return [
    { family: registerFamily, rules: strays, elements: () => identitySets(identity) },
    {
      family: gateFamily,
      rules: gateRules(names, identity, { standbyAsks: true, refuseStrangers: true }),
      elements: ({ holder }) => gateElements(names, holder),
    },
  ];
}

/** As a port of a bridge a board's card is none of the host's; out of it, the host would hear the board past the gate. */
const strays = `
chain strays {
  type filter hook prerouting priority raw; policy accept;
  iifname @cards drop
}`;

/** Why the identity cannot be the boards'; `undefined`: the host itself has none of it. */
export async function takenByHost(
  { identity: { mac, ipv4, ipv6 }, names }: BridgedPlan,
  found: ReadonlyMap<string, Link>,
): Promise<string | undefined> {
  const ours = new Set(boardNames.map((board) => names.card(board, "service")));
  const same = [...found.values()].find((link) => link.mac === mac && !ours.has(link.name));
  if (same !== undefined) return `${same.name} of this host has the MAC address ${mac} itself`;
  const own = (await addresses()).find(({ address }) => address === ipv4 || address === ipv6);
  return own === undefined ? undefined : `${own.card} of this host has ${own.address} itself`;
}
