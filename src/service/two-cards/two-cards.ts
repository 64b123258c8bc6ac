/**
 * The wiring of two cards: each board has one of its own, behind a bridge. Both boards carry the same MAC address and the same addresses, the
 * gate lets the holder alone be heard and speak, and after a takeover the new card is announced, so that switches outside find it.
 */
import { type BoardName, boardNames } from "../../board/board.ts";
import { TwinboardError } from "../../errors.ts";
import { systemClock } from "../../system/clock.ts";
import { addresses } from "../../system/ip.ts";
import { watchLinks } from "../../system/link-monitor.ts";
import { forget, links, whereIs } from "../../system/links.ts";
import type { NftSession } from "../../system/nft.ts";
import { requirePrograms } from "../../system/programs.ts";
import {
  bridgeOf,
  isJoined,
  isMissingCard,
  joinBridge,
  leaveBridge,
  untilForwarding,
} from "../bridged/ports.ts";
import { gateFamily, gateShut, gateTakeover } from "../network/gate.ts";
import { refuseOtherIdentity, takenByHost } from "../network/identity.ts";
import { waitOutLinger } from "../network/linger.ts";
import { registerFamily, type Standing, sameEpoch } from "../network/register.ts";
import { HostSettings } from "../network/settings.ts";
import type { DrainOrder, Wiring, WiringTable, WiringTrouble } from "../network/wiring.ts";
import type { DrainResult } from "../service.ts";
import { Announcer } from "./announcer.ts";
import { doubleCards, makeDouble, removeDouble } from "./double.ts";
import { announcements } from "./frames.ts";
import { findGateways } from "./gateways.ts";
import { makeOwnBridge, removeOwnBridge } from "./own-bridge.ts";
import type { TwoCardsPlan } from "./plan.ts";
import { twoCardsTables } from "./tables.ts";
import { boardTroubles, isOut, lasting } from "./troubles.ts";
import { bridgedPlanOf, isOwnBridge, outerPorts, requireUplink } from "./wire.ts";
import { Wires } from "./wires.ts";

/** A daemon that gets no processor time announces late, and until then the outside is served by the old card. */
const announcedWithinMs = 500;

export class TwoCardsWiring implements Wiring {
  readonly families = [registerFamily, gateFamily] as const;
  readonly #plan: TwoCardsPlan;
  readonly #settings: HostSettings;
  readonly #announcer: Announcer;
  readonly #wires: Wires;
  /** Who was announced last. */
  #holder: BoardName | undefined;
  /** When it was, ms since 1970. */
  #announcedAt = 0;
  /** The takeover that was put together last, and not announced yet. */
  #taken: { readonly to: BoardName; readonly epoch: number } | undefined;
  /** Why a board has no double of its gateways, though these are known. */
  readonly #withoutDouble = new Map<BoardName, string>();
  readonly #unwatch: (() => void)[] = [];

  constructor(plan: TwoCardsPlan) {
    this.#plan = plan;
    this.#settings = new HostSettings(plan.stateDirectory);
    const frames = announcements(plan.identity, plan.vlans);
    this.#announcer = new Announcer(frames, plan.lingerMs, systemClock);
    this.#wires = new Wires(plan, { read: links, watch: watchLinks, clock: systemClock });
  }

  async checkHost(standing: Standing): Promise<void> {
    await requirePrograms({ bridge: "iproute2", socat: "socat" });
    const found = await links();
    const addressed = await addresses();
    for (const board of boardNames) {
      try {
        requireUplink(this.#plan, board, found, addressed);
        if (!isOwnBridge(this.#plan, board, found)) bridgeOf(found, bridgedPlanOf(this.#plan, board, found));
      } catch (error) {
        // What serves already goes on serving, without one of its wires.
        if (standing.holder === null || !isMissingCard(error)) throw error;
      }
    }
    const taken = await takenByHost(this.#plan.identity, this.#plan.names, found);
    if (taken !== undefined) throw new TwinboardError("address-in-use", { detail: taken });
    refuseOtherIdentity(this.#plan.identity, standing);
  }

  async tables(): Promise<WiringTable[]> {
    return twoCardsTables(this.#plan, await links());
  }

  async open(signal: AbortSignal): Promise<void> {
    const found = await links();
    for (const board of boardNames) {
      if (isOwnBridge(this.#plan, board, found))
        await makeOwnBridge(this.#plan, board, this.#settings, signal);
      else await removeOwnBridge(this.#plan, board);
      await this.#forgetPaths(bridgedPlanOf(this.#plan, board, found).uplink);
    }
    for (const unwatch of this.#unwatch.splice(0)) unwatch();
    for (const board of boardNames) {
      const heard = (obstacle: string | null): void => {
        // Behind another port, or another switch, the board may not have been seen yet.
        if (obstacle === null && board === this.#holder) this.#announcer.announce(this.#cardsOf(board));
      };
      this.#unwatch.push(this.#wires.watch(board, heard));
    }
  }

  /** What a bridge learned before the gate stood would lead the boards' frames elsewhere for as long as it remembers. */
  async #forgetPaths(bridge: string): Promise<void> {
    const { mac } = this.#plan.identity;
    if (!(await links()).has(bridge)) return;
    for (const learned of await whereIs(bridge, mac)) if (!learned.permanent) await forget(mac, learned);
  }

  async attach(board: BoardName, signal: AbortSignal, nft: NftSession): Promise<void> {
    await this.#join(board, signal);
    await this.#provideDouble(board, signal, nft);
  }

  /** Without its uplink a board is on no wire, which `wireObstacle` tells. */
  async #join(board: BoardName, signal: AbortSignal): Promise<void> {
    const found = await links();
    if (isOwnBridge(this.#plan, board, found)) await makeOwnBridge(this.#plan, board, this.#settings, signal);
    try {
      await joinBridge(bridgedPlanOf(this.#plan, board, await links()), board, signal);
    } catch (error) {
      if (!isMissingCard(error)) throw error;
    }
  }

  /** A board without one does its work all the same; its first answers after a takeover may wait for its gateway. */
  async #provideDouble(board: BoardName, signal: AbortSignal, nft: NftSession): Promise<void> {
    this.#withoutDouble.delete(board);
    try {
      const found = await links();
      const { uplink: bridge } = bridgedPlanOf(this.#plan, board, found);
      const way = outerPorts(this.#plan, board, found).find(({ up, carrier }) => up && carrier);
      const cards = doubleCards(this.#plan.gateways, await findGateways(this.#plan, way, nft, signal));
      if (found.has(bridge)) await makeDouble(this.#plan, board, bridge, cards, signal);
    } catch (error) {
      signal.throwIfAborted();
      this.#withoutDouble.set(board, (error as Error).message);
    }
  }

  async prepare(to: BoardName, _: Standing, signal: AbortSignal): Promise<void> {
    await this.#wires.look();
    const { found } = this.#wires;
    const forwards = untilForwarding(bridgedPlanOf(this.#plan, to, found), to, signal, found);
    await Promise.all([forwards, this.#announcer.open(this.#cardsOf(to))]);
  }

  takeover({ holder, epoch }: Standing, to: BoardName): string[] {
    const { names, lingerMs } = this.#plan;
    this.#taken = { to, epoch: epoch + 1 };
    const openMs = lingerMs === 0 ? 0 : lingerMs + announcedWithinMs;
    return gateTakeover(names, holder, to, { speaksMs: openMs, hearsMs: openMs });
  }

  /** Where never two cards are open, the outside is led to the new one in the moment in which it opens, not after it. */
  foretell(to: BoardName): void {
    if (this.#plan.lingerMs === 0) this.#announcer.announce(this.#cardsOf(to));
  }

  async announce(holder: BoardName, nft: NftSession): Promise<void> {
    this.#holder = holder;
    if (this.#wires.found.size === 0) await this.#wires.look();
    this.#announcer.announce(this.#cardsOf(holder));
    this.#announcedAt = systemClock.now();
    void this.#endLinger(holder, nft);
  }

  /** The linger counts from the announcement; if it is not ended here, the kernel ends it. */
  async #endLinger(holder: BoardName, nft: NftSession): Promise<void> {
    const { names, lingerMs } = this.#plan;
    const taken = this.#taken;
    this.#taken = undefined;
    if (taken?.to !== holder || lingerMs === 0) return;
    await systemClock.sleep(lingerMs);
    if (this.#holder !== holder) return;
    // Of another epoch there is another holder, or may be: then nothing of this changes anything.
    const shut = [sameEpoch(names, taken.epoch), ...gateShut(names, holder)];
    await nft.change(shut.join("; ")).catch(() => undefined);
  }

  release(): Promise<void> {
    this.#announcer.release();
    return Promise.resolve();
  }

  shut(_: BoardName, { holder }: Standing): string[] {
    return gateShut(this.#plan.names, holder);
  }

  async drain(order: DrainOrder, _: NftSession, signal: AbortSignal): Promise<DrainResult> {
    const sinceMs = Math.max(order.sinceMs, this.#announcedAt);
    return await waitOutLinger(this.#plan.lingerMs, { ...order, sinceMs }, signal);
  }

  async troubles({ holder }: Standing): Promise<WiringTrouble[]> {
    const found = await links();
    return [
      ...boardNames.flatMap((board) => boardTroubles(this.#plan, board, found, board === holder)),
      ...[...this.#withoutDouble].map(([board, why]) =>
        lasting(`board ${board} has no double of its gateway: ${why}`),
      ),
      ...this.#announcer.failures.map(lasting),
    ];
  }

  async mend(signal: AbortSignal): Promise<void> {
    const found = await links();
    for (const board of boardNames) {
      const card = found.get(this.#plan.names.card(board, "service"));
      const plan = bridgedPlanOf(this.#plan, board, found);
      const out = isOut(this.#plan, board, found);
      if (out && card === undefined) await makeOwnBridge(this.#plan, board, this.#settings, signal);
      if (card !== undefined && (out || !isJoined(card, plan))) await this.#join(board, signal);
    }
  }

  async wireObstacle(board: BoardName): Promise<string | null> {
    return await this.#wires.obstacle(board);
  }

  watchWire(board: BoardName, onChange: (obstacle: string | null) => void): () => void {
    return this.#wires.watch(board, onChange);
  }

  async close(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#announcer.end();
    for (const unwatch of this.#unwatch.splice(0)) unwatch();
    this.#wires.end();
    this.#holder = undefined;
    const found = await links();
    for (const board of boardNames) {
      await leaveBridge(bridgedPlanOf(this.#plan, board, found), board);
      await removeDouble(this.#plan, board);
      await removeOwnBridge(this.#plan, board);
    }
    await this.#settings.putBack();
  }

  /** What leads outside from a board. */
  #cardsOf(board: BoardName): string[] {
    return outerPorts(this.#plan, board, this.#wires.found)
      .filter(({ up }) => up)
      .map(({ name }) => name);
  }
}
