/**
 * The wiring of cards that boards have for themselves: nothing of what passes them passes the host. There are no rules but the register and the
 * fence of the host-only cards; that one board alone serves is the boards' own doing, by their hooks (`Service.pastHost`), and they announce
 * themselves. What the host sees of a card is whether it is there.
 */
import { type BoardName, boardNames } from "../../board/board.ts";
import type { NftSession } from "../../system/nft.ts";
import { passableDevice } from "../../system/pci.ts";
import { identitySets, refuseOtherIdentity } from "../network/identity.ts";
import { waitOutLinger } from "../network/linger.ts";
import { registerFamily, type Standing } from "../network/register.ts";
import type { DrainOrder, Wiring, WiringTable, WiringTrouble } from "../network/wiring.ts";
import type { DrainResult } from "../service.ts";
import type { PassedThroughPlan } from "./plan.ts";

const nothing = (): Promise<void> => Promise.resolve();

export class PassedThroughWiring implements Wiring {
  readonly pastHost = true;
  readonly families = [registerFamily] as const;
  readonly open = nothing;
  readonly attach = nothing;
  readonly announce = nothing;
  readonly release = nothing;
  readonly mend = nothing;
  readonly close = nothing;
  readonly #plan: PassedThroughPlan;
  readonly #look: typeof passableDevice;

  /** @param look how devices are looked at. */
  constructor(plan: PassedThroughPlan, look = passableDevice) {
    this.#plan = plan;
    this.#look = look;
  }

  async checkHost(standing: Standing): Promise<void> {
    refuseOtherIdentity(this.#plan.identity, standing);
    // What serves already goes on serving, also without the other board's card.
    if (standing.holder !== null) return;
    for (const board of boardNames) await this.#look(this.#plan.devices[board]);
  }

  tables(): Promise<WiringTable[]> {
    return Promise.resolve(passedThroughTables(this.#plan));
  }

  /** The board boots with its card, or not at all; one that runs has it. */
  prepare(): Promise<void> {
    return Promise.resolve();
  }

  takeover(): string[] {
    return [];
  }

  shut(): string[] {
    return [];
  }

  /** The old board was silent before the hand-over: what it had sent is on its way. */
  async drain(order: DrainOrder, _: NftSession, signal: AbortSignal): Promise<DrainResult> {
    return await waitOutLinger(0, order, signal);
  }

  async troubles(): Promise<WiringTrouble[]> {
    const troubles = boardNames.map(async (board) => await this.#trouble(board));
    return (await Promise.all(troubles)).flat();
  }

  async #trouble(board: BoardName): Promise<WiringTrouble[]> {
    try {
      await this.#look(this.#plan.devices[board]);
      return [];
    } catch (error) {
      return [{ what: `board ${board}: ${(error as Error).message}`, mendable: false }];
    }
  }

  /** The link is the board's; its health checks may look at it. */
  wireObstacle(): Promise<null> {
    return Promise.resolve(null);
  }

  watchWire(): () => void {
    return () => undefined;
  }
}

export function passedThroughTables({ identity }: PassedThroughPlan): WiringTable[] {
  return [{ family: registerFamily, rules: "", elements: () => identitySets(identity) }];
}
