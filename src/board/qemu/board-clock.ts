/**
 * A board's clock, which stands still while the board is paused. It is set by the kit's program, which takes the exact time and answers at
 * once; in a board without it by QEMU's guest agent; and where there is none either by the kit's shell.
 */
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { TwinboardError } from "../../errors.ts";
import { type ClockAccuracy, ClockPort, requiredMs } from "./clock-port.ts";
import { chardevs } from "./command-line.ts";
import { setClockByAgent } from "./guest-agent.ts";
import type { MachineSockets } from "./machine-sockets.ts";
import type { NotifyPort } from "./notify-port.ts";

/** How a board's clock was set last. Only of the program's doing it is known how far off the clock can be. */
export type ClockSetting = { readonly tookMs: number } & (
  | ({ readonly by: "program" } & ClockAccuracy)
  | { readonly by: "agent" | "kit" }
);

export interface BoardClockOptions {
  readonly sockets: MachineSockets;
  readonly notify: NotifyPort;
  /** QEMU's names of the ports that a program in the board has open. */
  readonly openPorts: (signal: AbortSignal) => Promise<ReadonlySet<string>>;
  /** Of the clock port; not there in a machine that an earlier version of this program started. */
  readonly clock: Socket | undefined;
}

/** A board that starves on a busy processor is slow to answer. */
const timeoutMs = 10_000;
/** For so long a board waits for its clock to be as good as it must be: then a service whose clock is not is better than none. */
const patienceMs = 2000;
/** A program that is there answers within this. */
const soonMs = 25;
const kitToleranceMs = 100;
/** What was not good enough is tried again once a second. */
const againMs = 1000;
const againTries = 20;

export class BoardClock {
  readonly #options: BoardClockOptions;
  readonly #port: ClockPort | undefined;
  /** The program was there when somebody looked last. */
  #hadProgram = false;
  /** Ends what is still tried in a board that works. */
  #again: AbortController | undefined;

  constructor(options: BoardClockOptions) {
    this.#options = options;
    const late = (): void => {
      if (this.#again === undefined) this.#tryAgain(this.#onceMore);
    };
    this.#port = options.clock === undefined ? undefined : new ClockPort(options.clock, late);
  }

  /**
   * Of a board that is waking. Where the program is there, its clock then is within 10 ms of the host's, or, if the board is too slow for
   * that to be known within two seconds, as told, and it is tried again while it works.
   * Errors: `board-died`, `hook-failed`; those of QMP; the signal's reason, also that of a deadline of 10 s.
   */
  async set(signal: AbortSignal): Promise<ClockSetting> {
    const { openPorts, sockets } = this.#options;
    const absent = new AbortController();
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    const began = performance.now();
    const took = (): { readonly tookMs: number } => ({ tookMs: performance.now() - began });
    // A program that was there is believed to be there still, and QEMU, which is busy waking the board, is asked only if it does not answer.
    const early = this.#hadProgram ? this.#byProgram(AbortSignal.any([deadline, absent.signal])) : undefined;
    early?.catch(() => undefined);
    const soon = early && (await Promise.race([early, sleep(soonMs, undefined, { ref: false })]));
    if (soon !== undefined) return { by: "program", ...soon, ...took() };
    const open = await openPorts(deadline);
    this.#hadProgram = open.has(chardevs.clock);
    if (this.#hadProgram) {
      const accuracy = await (early ?? this.#byProgram(deadline));
      if (accuracy !== undefined) return { by: "program", ...accuracy, ...took() };
    } else absent.abort();
    if (open.has(chardevs.agent)) {
      await setClockByAgent(await sockets.connect("agent"), deadline);
      return { by: "agent", ...took() };
    }
    await this.#byKit(deadline);
    return { by: "kit", ...took() };
  }

  /** Of a board that has booted, whose clock is as good as that of a PC, which counts seconds; by the program alone. Never rejects. */
  async setAtReady(signal: AbortSignal): Promise<void> {
    try {
      this.#hadProgram = (await this.#options.openPorts(signal)).has(chardevs.clock);
      if (this.#hadProgram)
        await this.#byProgram(AbortSignal.any([signal, AbortSignal.timeout(2 * patienceMs)]));
    } catch {
      // It is as it was.
    }
  }

  /** From here on nobody looks after it. Repeatable. @param why for whoever waits for an answer. */
  close(why?: string): void {
    this.rest();
    this.#port?.close(why);
  }

  /** The board is about to be paused: what is still tried ends. Repeatable. */
  rest(): void {
    this.#again?.abort();
    this.#again = undefined;
  }

  /** `undefined`: there is no program, or it does not do its work. */
  async #byProgram(deadline: AbortSignal): Promise<ClockAccuracy | undefined> {
    this.rest();
    try {
      const accuracy = await this.#port?.set(patienceMs, deadline);
      if (accuracy !== undefined && accuracy.boundMs > requiredMs) this.#tryAgain(this.#onceMore);
      return accuracy;
    } catch (error) {
      if (!(error instanceof TwinboardError)) throw error;
      return undefined;
    }
  }

  readonly #onceMore = async (signal: AbortSignal): Promise<boolean> => {
    await sleep(againMs, undefined, { signal, ref: false });
    const accuracy = await this.#port?.set(againMs / 10, signal);
    return accuracy === undefined || accuracy.boundMs <= requiredMs;
  };

  /**
   * The kit's shell can only set whole seconds. So the clock is set at once, less than a second behind, and exactly when the next second
   * begins; waiting for that would keep the board's service waiting.
   */
  async #byKit(deadline: AbortSignal): Promise<void> {
    const { notify } = this.#options;
    const outcome = await notify.clock(Math.floor(Date.now() / 1000), deadline);
    if (outcome !== "0") throw new TwinboardError("hook-failed", { detail: `clock: exit status ${outcome}` });
    this.#tryAgain(async (signal) => {
      const next = Math.floor(Date.now() / 1000) + 1;
      await sleep(next * 1000 - Date.now(), undefined, { signal, ref: false });
      await notify.clock(next, signal);
      // The answer came so soon that the clock cannot be off by more.
      return Date.now() - next * 1000 <= kitToleranceMs;
    });
  }

  /** @param attempt resolves with whether it was good. */
  #tryAgain(attempt: (signal: AbortSignal) => Promise<boolean>): void {
    this.rest();
    const again = new AbortController();
    this.#again = again;
    const tries = async (): Promise<void> => {
      for (let count = 0; count < againTries; count += 1) if (await attempt(again.signal)) break;
      if (this.#again === again) this.#again = undefined;
    };
    // The board was paused again or died: then its clock does not matter.
    void tries().catch(() => undefined);
  }
}
