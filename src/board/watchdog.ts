/**
 * Watches over a board that says that it lives (`WATCHDOG=1`, as systemd's services do: sd_notify(3)): once it has said so, it must not
 * be silent for longer than its time while it runs.
 */

export class Watchdog {
  readonly #silenceMs: number;
  readonly #hung: (detail: string) => void;
  #timer: NodeJS.Timeout | undefined;
  #lastCheck: NodeJS.Immediate | undefined;
  #heard = false;
  #resting = false;

  /** `hung` is called once for each silence of `silenceMs`; a board that is heard again may become silent again. */
  constructor(silenceMs: number, hung: (detail: string) => void) {
    this.#silenceMs = silenceMs;
    this.#hung = hung;
  }

  /** The board has said that it lives. */
  heard(): void {
    this.#heard = true;
    this.#begin();
  }

  /** The board is about to be paused: from here on its silence means nothing. Repeatable. */
  rest(): void {
    this.#resting = true;
    this.#end();
  }

  /** The board runs again, and has its whole time. Repeatable. */
  wake(): void {
    this.#resting = false;
    this.#begin();
  }

  /** Repeatable. */
  end(): void {
    this.#heard = false;
    this.#end();
  }

  #begin(): void {
    this.#end();
    if (!this.#heard || this.#resting) return;
    this.#timer = setTimeout(() => {
      // A daemon that was itself held up reads what came meanwhile before it judges: the event loop polls between timers and this.
      this.#lastCheck = setImmediate(() => {
        this.#hung(`it has not said that it lives for ${this.#silenceMs / 1000} s`);
      });
    }, this.#silenceMs);
    this.#timer.unref();
  }

  #end(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#lastCheck);
  }
}
