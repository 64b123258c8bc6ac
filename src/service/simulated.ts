/** A service in memory, for tests of the story. The `SimulatedServiceWorld` is the kernel: it outlives the daemon, not the host's reboot. */
import type { BoardName } from "../board/board.ts";
import { TwinboardError } from "../errors.ts";
import type { DrainProgress, DrainResult, Service, ServiceCondition } from "./service.ts";

export class SimulatedServiceWorld {
  present = false;
  holder: BoardName | null = null;
  draining: BoardName | null = null;
  epoch = 0;
  leased: BoardName | null = null;
  /** Flows that a board still has to finish; they end when its drain is asked for, unless it `hangs`. */
  flows: Record<BoardName, number> = { a: 0, b: 0 };
  /** Every change of the holder, in order. */
  readonly holders: (BoardName | null)[] = [];
  /** Flows that were reset. */
  cut = 0;
  /** Calls that fail, or that do nothing until they are aborted: `handOver`. */
  readonly failing = new Set<string>();
  readonly hanging = new Set<string>();

  reboot(): void {
    this.present = false;
    this.holder = null;
    this.draining = null;
    this.leased = null;
    this.epoch = 0;
    this.flows = { a: 0, b: 0 };
  }
}

export class SimulatedService implements Service {
  readonly #world: SimulatedServiceWorld;
  /** The epoch that this daemon's transactions carry; a later daemon has a higher one. */
  #epoch = 0;

  constructor(world: SimulatedServiceWorld) {
    this.#world = world;
  }

  async setUp(signal: AbortSignal): Promise<void> {
    await this.#meet("setUp", signal);
    this.#world.present = true;
    this.#epoch = this.#world.epoch;
  }

  async attach(_board: BoardName, signal: AbortSignal): Promise<void> {
    await this.#meet("attach", signal);
  }

  inspect(): Promise<ServiceCondition> {
    const { present, holder, draining, epoch } = this.#world;
    return Promise.resolve({ present, holder, draining, epoch });
  }

  raiseEpoch(): Promise<number> {
    this.#world.epoch += 1;
    this.#epoch = this.#world.epoch;
    return Promise.resolve(this.#epoch);
  }

  async prepare(to: BoardName, signal: AbortSignal): Promise<void> {
    await this.#meet("prepare", signal);
    this.#world.leased = to;
  }

  async handOver(to: BoardName, signal: AbortSignal): Promise<{ readonly ms: number }> {
    await this.#meet("handOver", signal);
    const world = this.#world;
    if (world.epoch !== this.#epoch) {
      throw new TwinboardError("stale-epoch", {
        detail: `epoch ${this.#epoch}, the kernel is at ${world.epoch}`,
      });
    }
    world.epoch += 1;
    this.#epoch = world.epoch;
    if (world.holder !== to) {
      world.draining = world.holder;
      world.holder = to;
      world.holders.push(to);
    }
    return { ms: 0 };
  }

  async release(signal: AbortSignal): Promise<void> {
    await this.#meet("release", signal);
    this.#world.leased = null;
  }

  async drain(
    board: BoardName,
    options: {
      readonly sinceMs: number;
      readonly atOnce?: boolean;
      readonly onProgress?: (progress: DrainProgress) => void;
    },
    signal: AbortSignal,
  ): Promise<DrainResult> {
    const left = this.#world.flows[board];
    options.onProgress?.({ left, services: { web: { left } } });
    await this.#meet("drain", signal);
    this.#world.flows[board] = 0;
    const cut = options.atOnce === true ? left : 0;
    this.#world.cut += cut;
    return { finished: left - cut, cut, ms: 0 };
  }

  fence(board: BoardName): Promise<void> {
    const world = this.#world;
    if (world.holder === board) {
      return Promise.reject(new TwinboardError("internal", { detail: `board ${board} is the holder` }));
    }
    if (world.draining === board) world.draining = null;
    return Promise.resolve();
  }

  async tearDown(signal: AbortSignal): Promise<void> {
    await this.#meet("tearDown", signal);
    this.#world.reboot();
  }

  async #meet(call: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#world.failing.has(call))
      throw new TwinboardError("takeover-failed", { detail: `${call}: simulated` });
    if (!this.#world.hanging.has(call)) return;
    await new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    });
  }
}
