/**
 * A board that may be of either kind: a machine today, a container after the next upgrade. It has a driver of each kind, and whatever runs is
 * found by asking both; there are never two at once. Cards, control groups and the console's file go by the board's name, so only one driver
 * has anything on the host at a time: before the board becomes the other kind, all that the one had is taken down.
 */
import { TwinboardError } from "../errors.ts";
import type {
  Board,
  BoardCondition,
  BoardConfinement,
  BoardConsole,
  BoardDevice,
  BoardEvent,
  BoardName,
  BoardPlacement,
  BoardStart,
  BoardUsage,
  HookName,
} from "./board.ts";
import { type BoardKind, kindWords } from "./kind.ts";

interface Found {
  readonly driver: Board;
  readonly condition: Exclude<BoardCondition, { state: "off" }>;
}

export class EitherBoard implements Board {
  readonly name: BoardName;
  readonly mgmtHost: string;
  readonly #drivers: readonly [Board, ...Board[]];
  /** In the order that they are taken down when nobody knows what is left: a container's groups are below the one that a machine is in. */
  readonly #downwards: readonly Board[];
  /** The one that has what the board needs on the host, once that is known. */
  #present: Board | undefined;
  #placement: BoardPlacement | undefined;
  readonly #listeners = new Set<(event: BoardEvent) => void>();
  #unsubscribe: (() => void) | undefined;

  /** @param drivers of one and the same board, one of each kind that it may be, the usual one first; they write to one console. */
  constructor(drivers: readonly [Board, ...Board[]]) {
    this.#drivers = drivers;
    this.#downwards = drivers.toSorted((one, other) => Number(isInner(other)) - Number(isInner(one)));
    this.name = drivers[0].name;
    this.mgmtHost = drivers[0].mgmtHost;
  }

  get kind(): BoardKind {
    return (this.#present ?? this.#drivers[0]).kind;
  }

  async setUp(signal: AbortSignal, kind?: BoardKind): Promise<void> {
    const found = await this.#find();
    const driver = found?.driver ?? this.#driverOf(kind);
    await this.#become(driver, signal);
    await driver.setUp(signal);
  }

  async tearDown(signal: AbortSignal): Promise<void> {
    // What runs first: the others' own way down takes cards and groups of these names with it.
    const first = this.#present ?? (await this.#find())?.driver;
    this.#leave();
    await first?.tearDown(signal);
    for (const driver of this.#downwards) if (driver !== first) await driver.tearDown(signal);
    this.#present = undefined;
  }

  async inspect(): Promise<BoardCondition> {
    return (await this.#find())?.condition ?? { state: "off" };
  }

  async usage(): Promise<BoardUsage | undefined> {
    return await (await this.#current()).usage();
  }

  async start(start: BoardStart, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const found = await this.#find();
    // It adopts what is the same, and refuses a second.
    if (found !== undefined && found.condition.state !== "dead") {
      await found.driver.start({ ...start, kind: found.driver.kind }, signal);
      return;
    }
    const driver = this.#driverOf(start.kind);
    await found?.driver.stop(signal);
    await this.#become(driver, signal);
    await driver.start(start, signal);
  }

  async ready(signal: AbortSignal): Promise<{ readonly version: string }> {
    return await (await this.#current()).ready(signal);
  }

  async pause(signal: AbortSignal): Promise<void> {
    await (await this.#current()).pause(signal);
  }

  async resume(signal: AbortSignal): Promise<void> {
    await (await this.#current()).resume(signal);
  }

  async stop(signal: AbortSignal): Promise<void> {
    await (await this.#current()).stop(signal);
  }

  async setPriority(priority: "background" | "service"): Promise<void> {
    await (await this.#current()).setPriority(priority);
  }

  async place(placement: BoardPlacement, signal: AbortSignal): Promise<void> {
    this.#placement = placement;
    await (await this.#current()).place(placement, signal);
  }

  async confinement(): Promise<BoardConfinement> {
    return await (await this.#current()).confinement();
  }

  async runHook(hook: HookName, signal: AbortSignal): Promise<"done" | "absent"> {
    return await (await this.#current()).runHook(hook, signal);
  }

  async plugged(): Promise<readonly string[]> {
    return await (await this.#current()).plugged();
  }

  async plug(device: BoardDevice, signal: AbortSignal): Promise<void> {
    await (await this.#current()).plug(device, signal);
  }

  async unplug(id: string, signal: AbortSignal): Promise<void> {
    await (await this.#current()).unplug(id, signal);
  }

  subscribe(listener: (event: BoardEvent) => void): () => void {
    // Each time a thing of its own, so that the same function may listen twice.
    const own = (event: BoardEvent): void => listener(event);
    this.#listeners.add(own);
    if (this.#present === undefined) void this.#current().catch(() => undefined);
    else this.#listen(this.#present);
    return () => {
      this.#listeners.delete(own);
      if (this.#listeners.size === 0) this.#leave();
    };
  }

  async consoleTail(lines: number): Promise<string[]> {
    return await (await this.#current()).consoleTail(lines);
  }

  /** The drivers share one console: it goes on from one kind to the next. */
  followConsole(lines: number, signal: AbortSignal): AsyncIterable<string> {
    return this.#drivers[0].followConsole(lines, signal);
  }

  async attachConsole(signal: AbortSignal): Promise<BoardConsole> {
    return await (await this.#current()).attachConsole(signal);
  }

  async release(): Promise<void> {
    this.#leave();
    for (const driver of this.#drivers) await driver.release();
  }

  /** What is not off, and by whose account; from here on that is what the board is. */
  async #find(): Promise<Found | undefined> {
    const [usual, ...others] = this.#drivers;
    const present = this.#present ?? usual;
    let dead: Found | undefined;
    for (const driver of [present, ...[usual, ...others].filter((other) => other !== present)]) {
      const condition = await driver.inspect();
      if (condition.state === "off") continue;
      const found = { driver, condition };
      if (condition.state !== "dead") {
        this.#take(driver);
        return found;
      }
      dead ??= found;
    }
    if (dead !== undefined) this.#take(dead.driver);
    return dead;
  }

  async #current(): Promise<Board> {
    return this.#present ?? (await this.#find())?.driver ?? this.#drivers[0];
  }

  /** Errors: `board-start-failed`. */
  #driverOf(kind: BoardKind | undefined): Board {
    const driver = kind === undefined ? this.#drivers[0] : this.#drivers.find((one) => one.kind === kind);
    if (driver !== undefined) return driver;
    throw new TwinboardError("board-start-failed", {
      detail: `slot ${this.name} holds software for ${kind === undefined ? "" : kindWords[kind]}, and boards.kind does not let board ${this.name} be that`,
    });
  }

  /**
   * Of a board that is off, or is of that kind already: nothing of another kind is left on the host, nor of one that was being launched.
   * Repeatable.
   */
  async #become(driver: Board, signal: AbortSignal): Promise<void> {
    if (this.#present === driver) return;
    // If nobody has looked yet, a daemon before this one may have left something of each, also of the kind that this one is to be: a container
    // that is being launched is off like one that there is not, and its groups are in a machine's way.
    const former = this.#present === undefined ? this.#downwards : [this.#present];
    const isThere = (await driver.inspect()).state !== "off";
    if (!isThere) for (const one of former) await one.tearDown(signal);
    this.#take(driver);
    if (this.#placement !== undefined) await driver.place(this.#placement, signal);
  }

  #take(driver: Board): void {
    if (this.#present === driver) return;
    this.#leave();
    this.#present = driver;
    if (this.#listeners.size > 0) this.#listen(driver);
  }

  #listen(driver: Board): void {
    this.#unsubscribe ??= driver.subscribe((event) => {
      for (const listener of this.#listeners) listener(event);
    });
  }

  #leave(): void {
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
  }
}

function isInner({ kind }: Board): boolean {
  return kind === "container";
}
