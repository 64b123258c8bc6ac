/**
 * Mending: between stories it is looked whether every service follows the holder, and whether the other board sleeps. A service that lost the
 * holder (what carries it was killed, a part that could not follow a takeover) is given to it again; a board that an earlier story left
 * running, or that somebody else woke, is laid to sleep. Nothing here moves the holder.
 */
import { type BoardName, otherBoard } from "../board/board.ts";
import { TwinboardError } from "../errors.ts";
import type { Parts } from "./scene.ts";
import type { Stories } from "./stories.ts";
import type { TakeUp } from "./take-up.ts";

const lookMs = 2000;
const mendTimeoutMs = 10_000;

/** A board that neither serves nor sleeps as it should. */
interface Restless {
  readonly board: BoardName;
  readonly instance: string;
  /** It had been laid to sleep, and no story woke it. */
  readonly isWoken: boolean;
}

export class Mending {
  readonly #parts: Parts;
  readonly #stories: Stories;
  readonly #takeUp: TakeUp;
  readonly #closed = new AbortController();
  #paused = true;
  #ticking: Promise<void> | undefined;
  #looking: Promise<void> = Promise.resolve();
  /** A story has ended, and it has not been looked what it left. */
  #due = false;
  /** The run of a board that was to be laid to sleep, and after which story that was tried. */
  #tried: string | undefined;
  /** What went wrong since the last look at which nothing did: each is told once. */
  readonly #told = new Set<string>();

  constructor(parts: Parts, stories: Stories, takeUp: TakeUp) {
    this.#parts = parts;
    this.#stories = stories;
    this.#takeUp = takeUp;
  }

  start(): void {
    this.#paused = false;
    this.#stories.idleListeners.add(this.#onIdle);
    this.#ticking ??= this.#tick();
  }

  /** Leaves services and boards alone until `start`: they are being taken down. Returns whether it looked after them. */
  async pause(): Promise<boolean> {
    const looking = !this.#paused;
    this.#paused = true;
    this.#stories.idleListeners.delete(this.#onIdle);
    await this.#looking;
    return looking;
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.pause();
    await this.#ticking;
  }

  /** Resolves when nothing that a story left is still to be looked at. */
  async settled(): Promise<void> {
    await this.#looking;
  }

  async #tick(): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      await this.#parts.clock.sleep(lookMs, signal).catch(() => undefined);
      if (signal.aborted || this.#paused || this.#stories.busy) continue;
      this.#looking = this.#looking.then(() => this.#look(signal));
      await this.#looking;
    }
  }

  /** Whoever waits for a story to end finds the boards as they are to stay. */
  readonly #onIdle = (): void => {
    if (this.#due) return;
    this.#due = true;
    this.#looking = this.#looking.then(() => this.#lookAfterStory());
  };

  async #lookAfterStory(): Promise<void> {
    this.#due = false;
    await this.#attempt(() => this.#layToSleep());
  }

  async #look(signal: AbortSignal): Promise<void> {
    const isMended = await this.#attempt(() => this.#mend(signal));
    const isAsleep = await this.#attempt(() => this.#layToSleep());
    if (isMended && isAsleep) this.#told.clear();
  }

  async #mend(signal: AbortSignal): Promise<void> {
    const { service } = this.#parts;
    const troubles = await service.troubles();
    if (!troubles.some(({ mendable }) => mendable)) return;
    const within = AbortSignal.any([signal, AbortSignal.timeout(mendTimeoutMs)]);
    await this.#stories.reserve(
      () => service.mend(within),
      () => Promise.resolve(),
      "the host's rules and settings are being mended",
    );
  }

  /** If it does not go to sleep, it is tried again after the next story. */
  async #layToSleep(): Promise<void> {
    if (this.#paused || this.#stories.busy) return;
    const restless = await this.#findRestless();
    if (restless === undefined) {
      // It sleeps, or is gone: the next time that it is found awake is another.
      this.#tried = undefined;
      return;
    }
    const { board, instance, isWoken } = restless;
    const trial = `${instance} after ${this.#stories.last?.id ?? "nothing"}`;
    if (this.#tried === trial) return;
    await this.#stories.reserve(
      () => {
        this.#tried = trial;
        if (isWoken) this.#parts.onTrouble(new TwinboardError("board-woken", { detail: `board ${board}` }));
        return Promise.resolve();
      },
      () => this.#takeUp.settle(),
      `board ${board} is being laid to sleep`,
    );
  }

  /** To ask costs a board that sleeps nothing. While the holder does no work the other board may be what serves next, and is left as it is. */
  async #findRestless(): Promise<Restless | undefined> {
    const { boards, service, settings, systemFile } = this.#parts;
    const { holder } = await service.inspect();
    if (holder === null) return undefined;
    const board = otherBoard(holder);
    const condition = await boards[board].inspect();
    const sleepsTooLightly = condition.state === "dormant" && settings.dormancy === "off";
    if (condition.state !== "running" && !sleepsTooLightly) return undefined;
    if ((await boards[holder].inspect()).state !== "running") return undefined;
    const { instance } = condition;
    const { dormant } = systemFile.state;
    const wasLaid = dormant?.board === board && dormant.instance === instance;
    return { board, instance, isWoken: condition.state === "running" && wasLaid };
  }

  /** Returns whether nothing went wrong. */
  async #attempt(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      // A story was asked for in the same moment: it moves everything itself.
      if (error instanceof TwinboardError && error.code === "busy") return true;
      const message = error instanceof Error ? error.message : String(error);
      if (!this.#closed.signal.aborted && !this.#told.has(message)) this.#parts.onTrouble(error);
      this.#told.add(message);
      return false;
    }
  }
}
