/** A leased service in memory, for tests of the composition and of the story. The `SimulatedLeasedWorld` outlives each daemon's `SimulatedLeased`. */
import type { BoardName } from "../board/board.ts";
import { TwinboardError } from "../errors.ts";
import type { LeasedCondition, LeasedDrain, LeasedService } from "./leased.ts";
import { type HolderChange, untilAborted } from "./simulated.ts";

export type LeasedCall = Exclude<keyof LeasedService, "name">;

const absent: LeasedCondition = { present: false, holder: null, leasedTo: null, epoch: 0, trouble: null };

/** What lives outside the daemon: whom the content reaches, what waits, and how calls go wrong. */
export class SimulatedLeasedWorld {
  /** Calls that do nothing until they are aborted. */
  readonly hanging = new Set<LeasedCall>();
  /** Calls that fail and change nothing. */
  readonly failing = new Set<LeasedCall>();
  /** Calls that do their work and then fail, as when the answer is lost. */
  readonly failingAfter = new Set<LeasedCall>();
  /** Every change of the holder, in order; from the beginning of a lease until it is settled there is none. */
  readonly changes: HolderChange[] = [];
  /** Boards that have their end of the service. */
  readonly attached = new Set<BoardName>();
  /** What a board has begun and not finished: the next drain ends it. */
  readonly begun: Record<BoardName, number> = { a: 0, b: 0 };
  /** What each board heard, and what the outside heard, in order. */
  readonly heard: Readonly<Record<BoardName | "outside", string[]>> = { a: [], b: [], outside: [] };
  /** Said from the outside while nobody held; the next holder hears it first. */
  readonly waiting: string[] = [];
  #condition = absent;

  get condition(): LeasedCondition {
    return this.#condition;
  }

  /** The one way in which the condition changes. */
  become(change: Partial<LeasedCondition>): void {
    const { holder: from } = this.#condition;
    this.#condition = { ...this.#condition, ...change };
    const { holder: to, epoch } = this.#condition;
    if (from !== to) this.changes.push({ from, to, epoch });
    if (to !== null) this.heard[to].push(...this.waiting.splice(0));
  }

  /** The outside says something. */
  say(line: string): void {
    this.waiting.push(line);
    this.become({});
  }

  /** A board says something; of one that does not hold nobody hears it. */
  sayFrom(board: BoardName, line: string): void {
    if (this.#condition.holder === board) this.heard.outside.push(line);
  }

  /** What the service is about is gone; `null`: it is back. */
  trouble(what: string | null): void {
    this.become({ trouble: what });
  }

  /** The host loses power: nothing of it is left. What it is about is as gone as it was, or as there. */
  reboot(): void {
    const { trouble } = this.#condition;
    this.become({ ...absent, trouble });
    this.attached.clear();
    this.waiting.length = 0;
    Object.assign(this.begun, { a: 0, b: 0 });
  }
}

export class SimulatedLeased implements LeasedService {
  readonly name: string;
  readonly #world: SimulatedLeasedWorld;

  constructor(name: string, world: SimulatedLeasedWorld) {
    this.name = name;
    this.#world = world;
  }

  setUp(signal: AbortSignal): Promise<void> {
    return this.#call("setUp", signal, () => this.#world.become({ present: true }));
  }

  attach(board: BoardName, signal: AbortSignal): Promise<void> {
    return this.#call("attach", signal, () => void this.#world.attached.add(board));
  }

  inspect(): Promise<LeasedCondition> {
    return this.#call("inspect", undefined, () => this.#world.condition);
  }

  lease(to: BoardName, epoch: number, signal: AbortSignal): Promise<void> {
    return this.#call("lease", signal, () => {
      this.#admit(epoch);
      this.#world.become({ holder: null, leasedTo: to, epoch });
    });
  }

  settle(board: BoardName | null, epoch: number, signal: AbortSignal): Promise<void> {
    return this.#call("settle", signal, () => {
      this.#admit(epoch);
      this.#world.become({ holder: board, leasedTo: null, epoch });
    });
  }

  drain(
    board: BoardName,
    options: { readonly sinceMs: number; readonly atOnce?: boolean },
    signal: AbortSignal,
  ): Promise<LeasedDrain> {
    return this.#call("drain", signal, () => {
      const begun = this.#world.begun[board];
      this.#world.begun[board] = 0;
      const cut = options.atOnce === true ? begun : 0;
      return { left: 0, finished: begun - cut, closedEarly: 0, cut, remarks: [] };
    });
  }

  fence(board: BoardName): Promise<void> {
    return this.#call("fence", undefined, () => {
      if (this.#world.condition.holder === board)
        throw new TwinboardError("internal", {
          detail: `${this.name}: fence of board ${board}, which holds`,
        });
    });
  }

  tearDown(signal: AbortSignal): Promise<void> {
    return this.#call("tearDown", signal, () => this.#world.reboot());
  }

  #admit(epoch: number): void {
    const { present, epoch: known } = this.#world.condition;
    if (!present) throw new TwinboardError("takeover-failed", { detail: `${this.name} is not set up` });
    if (epoch < known)
      throw new TwinboardError("stale-epoch", { detail: `${this.name}: epoch ${epoch}, it knows ${known}` });
  }

  async #call<T>(name: LeasedCall, signal: AbortSignal | undefined, work: () => T): Promise<T> {
    signal?.throwIfAborted();
    if (this.#world.hanging.has(name)) await untilAborted(signal);
    if (this.#world.failing.has(name)) throw this.#failure(name);
    const result = work();
    if (this.#world.failingAfter.has(name)) throw this.#failure(name);
    return result;
  }

  #failure(call: LeasedCall): TwinboardError {
    const detail = `${this.name}, simulated: ${call}`;
    const moves = call === "lease" || call === "settle";
    return new TwinboardError(moves ? "takeover-failed" : "command-failed", { detail });
  }
}
