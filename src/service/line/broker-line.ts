/** One line of the broker: its switch, and the ends that are put together with it. */
import { type BoardName, boardNames } from "../../board/board.ts";
import { type BoardPort, SocketEnd } from "./board-end.ts";
import { driverCounts } from "./device.ts";
import type { OutsideEnd, OutsideEvents } from "./ends.ts";
import { type LineCounters, LineSwitch } from "./line-switch.ts";
import type { LineCondition, Requests } from "./protocol.ts";
import { SerialEnd } from "./serial-end.ts";
import { settingsFile } from "./settings.ts";
import type { LineSpec } from "./spec.ts";
import { StreamEnd } from "./stream-end.ts";

/** How long whoever makes a line or attaches a board waits for the first attempt, so that what it then inspects is true. */
const attemptMs = 2000;
/** An outside that takes nothing for so long, while something waits for it, is told. */
const stillMs = 5000;

export class BrokerLine {
  #spec: LineSpec;
  #outside: OutsideEnd;
  readonly #ends: Readonly<Record<BoardName, SocketEnd>>;
  readonly #switch: LineSwitch;
  readonly #awaitingLeft = new Set<() => void>();
  /** What the driver had dropped before the line was made. */
  #droppedBefore: Promise<number | null>;
  #droppedTold = 0;
  /** Since when bytes have waited for the outside and none has left. */
  #stillSinceMs: number | undefined;

  constructor(spec: LineSpec) {
    this.#spec = spec;
    this.#droppedBefore = dropped(spec);
    const end = (board: BoardName): SocketEnd =>
      new SocketEnd({
        name: board,
        link: `${board}-${spec.name}`,
        onBytes: (bytes) => {
          this.#switch.fromBoard(board, bytes);
          if (this.#switch.counters.leavingBytes > 0) this.#stillSinceMs ??= performance.now();
        },
        onChange: (change) => (change === "closed" ? this.#switch.closed(board) : this.#switch.turn()),
      });
    this.#ends = { a: end("a"), b: end("b") };
    this.#outside = outsideOf(spec, this.#events());
    this.#switch = new LineSwitch({
      boards: this.#ends,
      outside: this.#outside,
      bufferBytes: spec.bufferBytes,
      onLeft: () => {
        this.#stillSinceMs = this.#switch.counters.leavingBytes > 0 ? performance.now() : undefined;
        for (const tell of this.#awaitingLeft) tell();
      },
    });
  }

  get switch(): LineSwitch {
    return this.#switch;
  }

  /** Makes it what the spec says: holder and what waits stay. Resolves after the first attempt to open the outside. */
  async become(spec: LineSpec): Promise<void> {
    if (JSON.stringify(spec) !== JSON.stringify(this.#spec)) {
      const before = this.#outside;
      this.#spec = spec;
      await before.end();
      this.#droppedBefore = dropped(spec);
      this.#droppedTold = 0;
      this.#outside = outsideOf(spec, this.#events());
      this.#switch.change(this.#outside, spec.bufferBytes);
    }
    await within(this.#outside.attempted());
  }

  async attach(board: BoardName, port: BoardPort): Promise<void> {
    await within(this.#ends[board].attach(port));
  }

  async condition(): Promise<LineCondition> {
    const before = await this.#droppedBefore;
    const now = await dropped(this.#spec);
    const { holding, counters } = this.#switch;
    const droppedBytes = before === null || now === null ? null : Math.max(0, now - before);
    return { ...holding, counters, droppedBytes, trouble: this.#trouble(counters) };
  }

  /** Resolves once what the board sent while it held has left, or after `withinMs`. */
  async drained(board: BoardName, withinMs: number): Promise<Requests["drain"]["answer"]> {
    const foundBytes = this.#switch.owedTo(board);
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (this.#switch.owedTo(board) === 0) over();
      };
      const over = (): void => {
        clearTimeout(timer);
        this.#awaitingLeft.delete(look);
        resolve();
      };
      const timer = setTimeout(over, withinMs);
      this.#awaitingLeft.add(look);
      look();
    });
    const { droppedBytes } = await this.condition();
    const newlyDropped = Math.max(0, (droppedBytes ?? 0) - this.#droppedTold);
    this.#droppedTold += newlyDropped;
    return { foundBytes, leftBytes: this.#switch.owedTo(board), droppedBytes: newlyDropped };
  }

  /** Lets go of everything, and puts the device's settings back. */
  async end(): Promise<void> {
    for (const board of boardNames) this.#ends[board].end();
    await this.#outside.end();
  }

  #events(): OutsideEvents {
    return {
      onBytes: (bytes) => this.#switch.fromOutside(bytes),
      onChange: () => this.#switch.turn(),
    };
  }

  #trouble({ waitingBytes, leavingBytes }: LineCounters): string | null {
    const { holder } = this.#switch.holding;
    const still = this.#stillSinceMs !== undefined && performance.now() - this.#stillSinceMs >= stillMs;
    const troubles = [
      this.#outside.trouble,
      holder === null ? null : this.#ends[holder].trouble,
      waitingBytes >= this.#spec.bufferBytes
        ? `${waitingBytes} bytes wait for ${holder === null ? "a board" : `board ${holder}`}, and no more are read`
        : null,
      still && leavingBytes > 0 && this.#outside.open
        ? `the outside takes nothing: ${leavingBytes} bytes from the boards wait for it`
        : null,
    ].filter((trouble) => trouble !== null);
    return troubles.length === 0 ? null : troubles.join("; ");
  }
}

function outsideOf({ name, outside }: LineSpec, events: OutsideEvents): OutsideEnd {
  return outside.kind === "serial"
    ? new SerialEnd(outside, events, settingsFile(name))
    : new StreamEnd(outside, events);
}

async function dropped({ outside }: LineSpec): Promise<number | null> {
  if (outside.kind !== "serial") return null;
  return (await driverCounts(outside.device))?.droppedBytes ?? null;
}

async function within(attempt: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, attemptMs)));
  await Promise.race([attempt, late]);
  clearTimeout(timer);
}
