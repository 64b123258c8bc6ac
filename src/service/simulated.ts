/** The service in memory, for tests of the story. The `SimulatedServiceWorld` is the kernel: it outlives each daemon's `SimulatedService`. */
import type { BoardName } from "../board/board.ts";
import { TwinboardError } from "../errors.ts";
import type {
  DrainCounts,
  DrainOptions,
  DrainProgress,
  DrainResult,
  Service,
  ServiceCondition,
  Trouble,
} from "./service.ts";

export type ServiceCall = Exclude<keyof Service, symbol | "pastHost">;

export interface HolderChange {
  readonly from: BoardName | null;
  readonly to: BoardName | null;
  readonly epoch: number;
}

/** What lives outside the daemon: rules and flows, and how calls go wrong. */
export class SimulatedServiceWorld {
  /** Calls that do nothing until they are aborted. */
  readonly hanging = new Set<ServiceCall>();
  /** Calls that fail and change nothing. */
  readonly failing = new Set<ServiceCall>();
  /** Calls that do their work and then fail, as when the answer is lost. */
  readonly failingAfter = new Set<ServiceCall>();
  /** Every change of the holder, a reboot's included, in order. */
  readonly changes: HolderChange[] = [];
  /** Flows that each board has not finished. */
  readonly flows: Record<BoardName, number> = { a: 0, b: 0 };
  /** Boards whose cards have their host side. */
  readonly attached = new Set<BoardName>();
  /** What `prepare` leased and neither a takeover settled nor `release` gave back. */
  leased: BoardName | null = null;
  /** Flows that ended in silence: fenced before they were drained, or begun while nobody held. */
  lost = 0;
  /** Flows that were reset at a drain's deadline. */
  cut = 0;
  #condition: ServiceCondition = { present: false, holder: null, draining: null, epoch: 0 };
  #deadlinePassed = false;
  readonly #waiting = new Set<() => void>();
  /** As `Service.pastHost`. */
  pastHost = false;
  readonly #obstacles: Record<BoardName, string | null> = { a: null, b: null };
  readonly #wireWatchers = new Set<{ board: BoardName; onChange: (obstacle: string | null) => void }>();

  get condition(): ServiceCondition {
    return this.#condition;
  }

  get holder(): BoardName | null {
    return this.#condition.holder;
  }

  /** The one way in which the condition changes. */
  become(change: Partial<ServiceCondition>): void {
    const { holder: from } = this.#condition;
    this.#condition = { ...this.#condition, ...change };
    const { holder: to, epoch } = this.#condition;
    if (from !== to) this.changes.push({ from, to, epoch });
    if (from !== to) this.#deadlinePassed = false;
  }

  /** New work from the outside reaches the holder. */
  begin(count = 1): void {
    if (this.holder === null) this.lost += count;
    else this.flows[this.holder] += count;
  }

  /** A board finishes some of what it began. */
  finish(board: BoardName, count = 1): void {
    this.flows[board] = Math.max(0, this.flows[board] - count);
    this.#wake();
  }

  /** Every service's drain is over; what is left is cut. The simulation has no clock of its own. */
  passDeadline(): void {
    this.#deadlinePassed = true;
    this.#wake();
  }

  get deadlinePassed(): boolean {
    return this.#deadlinePassed;
  }

  /** The host loses power: rules and flows are gone. */
  reboot(): void {
    this.lost += this.flows.a + this.flows.b;
    Object.assign(this.flows, { a: 0, b: 0 });
    this.attached.clear();
    this.leased = null;
    this.become({ present: false, holder: null, draining: null, epoch: 0 });
  }

  /** A board's wire is cut, or joined again (`null`). */
  cutWire(board: BoardName, obstacle: string | null): void {
    this.#obstacles[board] = obstacle;
    for (const watcher of this.#wireWatchers) if (watcher.board === board) watcher.onChange(obstacle);
  }

  wireObstacle(board: BoardName): string | null {
    return this.#obstacles[board];
  }

  watchWire(board: BoardName, onChange: (obstacle: string | null) => void): () => void {
    const watcher = { board, onChange };
    this.#wireWatchers.add(watcher);
    if (this.#obstacles[board] !== null) onChange(this.#obstacles[board]);
    return () => this.#wireWatchers.delete(watcher);
  }

  /** Resolves when flows or deadline have changed. Errors: the signal's reason. */
  async changed(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    try {
      await Promise.race([promise, untilAborted(signal)]);
    } finally {
      this.#waiting.delete(resolve);
    }
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
  }
}

export class SimulatedService implements Service {
  readonly #world: SimulatedServiceWorld;

  get pastHost(): boolean {
    return this.#world.pastHost;
  }

  #prepared: { readonly to: BoardName; readonly epoch: number } | undefined;

  constructor(world: SimulatedServiceWorld) {
    this.#world = world;
  }

  setUp(signal: AbortSignal): Promise<void> {
    return this.#call("setUp", signal, () => {
      if (!this.#world.condition.present) this.#world.become({ present: true, epoch: 1 });
    });
  }

  attach(board: BoardName, signal: AbortSignal): Promise<void> {
    return this.#call("attach", signal, () => {
      this.#world.attached.add(board);
    });
  }

  inspect(): Promise<ServiceCondition> {
    return this.#call("inspect", undefined, () => this.#world.condition);
  }

  raiseEpoch(above = 0): Promise<number> {
    return this.#call("raiseEpoch", undefined, () => {
      const { present, epoch } = this.#world.condition;
      if (present) this.#world.become({ epoch: Math.max(epoch, above) + 1 });
      return this.#world.condition.epoch;
    });
  }

  prepare(
    to: BoardName,
    signal: AbortSignal,
    { partly = false }: { readonly partly?: boolean } = {},
  ): Promise<void> {
    return this.#call("prepare", signal, () => {
      const obstacle = this.#world.wireObstacle(to);
      if (obstacle !== null && !partly && this.#present().holder !== to)
        throw new TwinboardError("board-unlinked", { detail: `board ${to}: ${obstacle}` });
      this.#prepared = { to, epoch: this.#present().epoch };
      this.#world.leased = to;
    });
  }

  handOver(to: BoardName, signal: AbortSignal): Promise<{ readonly ms: number }> {
    return this.#call("handOver", signal, () => {
      const { holder, epoch } = this.#present();
      const expected = this.#prepared?.to === to ? this.#prepared.epoch : epoch;
      this.#prepared = undefined;
      if (expected !== epoch) {
        throw new TwinboardError("stale-epoch", { detail: `epoch ${expected}, the kernel has ${epoch}` });
      }
      this.#world.leased = null;
      if (holder !== to) this.#world.become({ holder: to, draining: holder, epoch: epoch + 1 });
      return { ms: 0 };
    });
  }

  release(signal: AbortSignal): Promise<void> {
    return this.#call("release", signal, () => {
      this.#prepared = undefined;
      this.#world.leased = null;
    });
  }

  async drain(board: BoardName, options: DrainOptions, signal: AbortSignal): Promise<DrainResult> {
    return await this.#call("drain", signal, async () => {
      const world = this.#world;
      const begun = world.flows[board];
      this.#notHolder(board, "drain");
      for (;;) {
        const left = world.flows[board];
        options.onProgress?.(simulatedDrain({ left, finished: begun - left }));
        if (left === 0) return { ...simulatedDrain({ finished: begun }), ms: 0, remarks: [] };
        if (options.atOnce === true || world.deadlinePassed) {
          world.cut += left;
          world.finish(board, left);
          return { ...simulatedDrain({ finished: begun - left, cut: left }), ms: 0, remarks: [] };
        }
        await world.changed(signal);
      }
    });
  }

  fence(board: BoardName): Promise<void> {
    return this.#call("fence", undefined, () => {
      this.#notHolder(board, "fence");
      this.#world.lost += this.#world.flows[board];
      this.#world.finish(board, this.#world.flows[board]);
      if (this.#world.condition.draining === board) this.#world.become({ draining: null });
    });
  }

  troubles(): Promise<readonly Trouble[]> {
    return this.#call("troubles", undefined, () => []);
  }

  mend(signal: AbortSignal): Promise<void> {
    return this.#call("mend", signal, () => undefined);
  }

  wireObstacle(board: BoardName): Promise<string | null> {
    return this.#call("wireObstacle", undefined, () => this.#world.wireObstacle(board));
  }

  watchWire(board: BoardName, onChange: (obstacle: string | null) => void): () => void {
    return this.#world.watchWire(board, onChange);
  }

  tearDown(signal: AbortSignal): Promise<void> {
    return this.#call("tearDown", signal, () => {
      this.#prepared = undefined;
      this.#world.reboot();
    });
  }

  #present(): ServiceCondition {
    const { condition } = this.#world;
    if (!condition.present)
      throw new TwinboardError("takeover-failed", { detail: "the service is not set up" });
    return condition;
  }

  #notHolder(board: BoardName, what: string): void {
    if (this.#world.holder !== board) return;
    throw new TwinboardError("internal", { detail: `${what} of board ${board}, which holds` });
  }

  async #call<T>(name: ServiceCall, signal: AbortSignal | undefined, work: () => T | Promise<T>): Promise<T> {
    signal?.throwIfAborted();
    if (this.#world.hanging.has(name)) await untilAborted(signal);
    if (this.#world.failing.has(name)) throw failure(name);
    const result = await work();
    if (this.#world.failingAfter.has(name)) throw failure(name);
    return result;
  }
}

/** What a drain of simulated flows tells; none is ever closed early. */
export function simulatedDrain(counted: Partial<DrainCounts>): DrainProgress {
  const counts = { left: 0, finished: 0, closedEarly: 0, cut: 0, ...counted };
  return { ...counts, services: { simulated: counts } };
}

function failure(name: ServiceCall): TwinboardError {
  const detail = `simulated: ${name}`;
  return new TwinboardError(name === "handOver" ? "takeover-failed" : "command-failed", { detail });
}

/** Never resolves; without a signal it is a call of a daemon that has to be killed. */
export async function untilAborted(signal: AbortSignal | undefined): Promise<never> {
  return await new Promise<never>((_, reject) => {
    if (signal?.aborted === true) reject(signal.reason as Error);
    signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
}
