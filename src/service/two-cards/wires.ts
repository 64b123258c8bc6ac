/** The wires of both boards under watch. */
import { type BoardName, boardNames } from "../../board/board.ts";
import type { Clock } from "../../system/clock.ts";
import type { Link } from "../../system/links.ts";
import type { TwoCardsPlan } from "./plan.ts";
import { obstacleOf } from "./wire.ts";

/**
 * What a wire is said to be, it was for so long. A card that adapts to its line loses its link for some milliseconds, and a failover would
 * cost more than that; a link that is negotiated anew is gone for more than a second (IEEE 802.3, clause 28: `break_link_timer` is 1200 ms
 * at least), and nothing is gained by waiting for it.
 */
export const settleMs = 50;
/** Cards that go and come a thousand times a second must not keep the host busy. */
const leastBetweenMs = 20;

type Found = ReadonlyMap<string, Link>;
type Listener = (obstacle: string | null) => void;

interface Wire {
  /** What was told; `undefined`: nothing is known yet. */
  told: string | null | undefined;
  /** What was read last, and since when it is so. */
  seen: string | null;
  sinceMs: number;
  /** It is looked at again when it has been so for long enough. */
  settling: boolean;
  readonly listeners: Set<Listener>;
}

/** How the kernel is asked. */
export interface WireSource {
  /** All cards. */
  readonly read: () => Promise<Found>;
  /** Tells that something may have changed, until its end. */
  readonly watch: (onChange: () => void) => { end(): unknown };
  readonly clock: Clock;
}

export class Wires {
  readonly #plan: TwoCardsPlan;
  readonly #source: WireSource;
  readonly #onRead: (found: Found) => void;
  readonly #wires: Readonly<Record<BoardName, Wire>> = { a: unknownWire(), b: unknownWire() };
  #found: Found = new Map();
  #monitor: { end(): unknown } | undefined;
  #ended = new AbortController();
  #reading: Promise<void> | undefined;
  /** Something changed since the reading that is under way began. */
  #due = false;

  /** @param onRead called with what was read each time, before what follows from it is told. */
  constructor(plan: TwoCardsPlan, source: WireSource, onRead: (found: Found) => void = () => undefined) {
    this.#plan = plan;
    this.#source = source;
    this.#onRead = onRead;
  }

  /** What was read last. */
  get found(): Found {
    return this.#found;
  }

  async obstacle(board: BoardName): Promise<string | null> {
    this.#begin();
    if (this.#wires[board].told === undefined) await (this.#reading ?? this.look());
    return this.#wires[board].told ?? null;
  }

  watch(board: BoardName, onChange: Listener): () => void {
    const { listeners, told } = this.#wires[board];
    listeners.add(onChange);
    if (told !== undefined && told !== null) onChange(told);
    this.#begin();
    return () => listeners.delete(onChange);
  }

  /** Reads how things stand now, and judges it. Never fails: what cannot be read is as it was. */
  async look(): Promise<void> {
    this.#due = true;
    this.#reading ??= this.#readOn();
    await this.#reading;
  }

  end(): void {
    this.#monitor?.end();
    this.#monitor = undefined;
    this.#ended.abort();
    this.#ended = new AbortController();
    for (const wire of Object.values(this.#wires)) wire.told = undefined;
  }

  #begin(): void {
    if (this.#monitor !== undefined) return;
    this.#monitor = this.#source.watch(() => void this.look());
    void this.look();
  }

  /** Once for all that was asked for meanwhile. */
  async #readOn(): Promise<void> {
    const { signal } = this.#ended;
    try {
      while (this.#due && !signal.aborted) {
        this.#due = false;
        const { read, clock } = this.#source;
        const beganMs = clock.monotonic();
        const found = await read().catch(() => undefined);
        if (signal.aborted) return;
        if (found !== undefined) this.#judge(found, beganMs);
        const waitMs = beganMs + leastBetweenMs - clock.monotonic();
        if (this.#due && waitMs > 0) await clock.sleep(waitMs, signal).catch(() => undefined);
      }
    } finally {
      this.#reading = undefined;
    }
  }

  #judge(found: Found, nowMs: number): void {
    this.#found = found;
    this.#onRead(found);
    for (const board of boardNames) {
      const wire = this.#wires[board];
      const seen = obstacleOf(this.#plan, board, found);
      // Another reason is no other state: a wire that is cut stays so, however it is put.
      const changed = (seen === null) !== (wire.seen === null) || wire.told === undefined;
      wire.seen = seen;
      if (changed) wire.sinceMs = nowMs;
      if (wire.told === undefined) tell(wire);
      else if ((seen === null) === (wire.told === null)) wire.told = seen;
      else if (nowMs >= wire.sinceMs + settleMs) tell(wire);
      else void this.#settle(wire, wire.sinceMs + settleMs - nowMs);
    }
  }

  /** Nobody announces that nothing has changed. */
  async #settle(wire: Wire, ms: number): Promise<void> {
    if (wire.settling) return;
    wire.settling = true;
    const { signal } = this.#ended;
    const { clock } = this.#source;
    await clock.sleep(ms, signal).catch(() => undefined);
    wire.settling = false;
    if (signal.aborted) return;
    // Nothing has been heard since: a program that reads it again would only take its time.
    if (this.#reading === undefined) this.#judge(this.#found, clock.monotonic());
    await this.look();
  }
}

function unknownWire(): Wire {
  return { told: undefined, seen: null, sinceMs: 0, settling: false, listeners: new Set() };
}

function tell(wire: Wire): void {
  const first = wire.told === undefined;
  wire.told = wire.seen;
  if (first && wire.seen === null) return;
  for (const listener of wire.listeners) listener(wire.seen);
}
