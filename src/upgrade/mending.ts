/**
 * Mending: between stories it is looked whether every service follows the holder. One that lost it (what carries it was killed, a part that
 * could not follow a takeover) is given to it again. Nothing here moves the holder.
 */
import { TwinboardError } from "../errors.ts";
import type { Parts } from "./scene.ts";
import type { Stories } from "./stories.ts";

const lookMs = 2000;
const mendTimeoutMs = 10_000;

export class Mending {
  readonly #parts: Parts;
  readonly #stories: Stories;
  readonly #closed = new AbortController();
  #paused = true;
  #ticking: Promise<void> | undefined;
  #looking: Promise<void> = Promise.resolve();
  /** What went wrong last, told once. */
  #told: string | undefined;

  constructor(parts: Parts, stories: Stories) {
    this.#parts = parts;
    this.#stories = stories;
  }

  start(): void {
    this.#paused = false;
    this.#ticking ??= this.#tick();
  }

  /** Leaves the services alone until `start`: they are being taken down. Returns whether it looked after them. */
  async pause(): Promise<boolean> {
    const looking = !this.#paused;
    this.#paused = true;
    await this.#looking;
    return looking;
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.pause();
    await this.#ticking;
  }

  async #tick(): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      await this.#parts.clock.sleep(lookMs, signal).catch(() => undefined);
      if (signal.aborted || this.#paused || this.#stories.busy) continue;
      this.#looking = this.#look(signal);
      await this.#looking;
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { service } = this.#parts;
    try {
      const troubles = await service.troubles();
      if (!troubles.some(({ mendable }) => mendable)) return;
      const within = AbortSignal.any([signal, AbortSignal.timeout(mendTimeoutMs)]);
      await this.#stories.reserve(
        () => service.mend(within),
        () => Promise.resolve(),
      );
      this.#told = undefined;
    } catch (error) {
      // A story was asked for in the same moment: it moves everything itself.
      if (error instanceof TwinboardError && error.code === "busy") return;
      const message = error instanceof Error ? error.message : String(error);
      if (!signal.aborted && message !== this.#told) this.#parts.onTrouble(error);
      this.#told = message;
    }
  }
}
