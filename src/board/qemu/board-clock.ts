/**
 * A board's clock, which stands still while the board is paused. It is set by the kit's program, which takes the exact time and answers at
 * once; in a board without it by QEMU's guest agent; and where there is none either by the kit's shell.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { TwinboardError } from "../../errors.ts";
import type { ClockAccuracy, ClockPort } from "./clock-port.ts";
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
  /** Not there in a machine that an earlier version of this program started. */
  readonly clock: ClockPort | undefined;
}

/** A board that starves on a busy processor is slow to answer. */
const timeoutMs = 10_000;
/** A board that has booted does not wait longer for its clock. */
const readyTimeoutMs = 2000;
const kitToleranceMs = 100;
const kitTries = 20;

export class BoardClock {
  readonly #options: BoardClockOptions;
  #following: AbortController | undefined;

  constructor(options: BoardClockOptions) {
    this.#options = options;
  }

  /**
   * Of a board that has just woken. @param open the ports that a program in the board has open.
   * Errors: `board-died`, `hook-failed`; the signal's reason, also that of a deadline of 10 s.
   */
  async set(open: ReadonlySet<string>, signal: AbortSignal): Promise<ClockSetting> {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    const began = performance.now();
    const set = async (): Promise<({ by: "program" } & ClockAccuracy) | { by: "agent" | "kit" }> => {
      const accuracy = await this.#byProgram(open, deadline);
      if (accuracy !== undefined) return { by: "program", ...accuracy };
      if (!open.has(chardevs.agent)) return await this.#byKit(deadline);
      await setClockByAgent(await this.#options.sockets.connect("agent"), deadline);
      return { by: "agent" };
    };
    const done = await set();
    return { ...done, tookMs: performance.now() - began };
  }

  /** Of a board that has booted, whose clock is as good as that of a PC, which counts seconds. Does what it can soon; never rejects. */
  async setAtReady(open: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(readyTimeoutMs)]);
    await this.#byProgram(open, deadline).catch(() => undefined);
  }

  /** The board is paused, or let go of: what still goes on ends. Repeatable. */
  rest(): void {
    this.#following?.abort();
  }

  /** `undefined`: there is no program, or it does not do its work. */
  async #byProgram(open: ReadonlySet<string>, deadline: AbortSignal): Promise<ClockAccuracy | undefined> {
    if (!open.has(chardevs.clock)) return undefined;
    try {
      return await this.#options.clock?.set(deadline);
    } catch (error) {
      if (!(error instanceof TwinboardError)) throw error;
      return undefined;
    }
  }

  /**
   * The kit's shell can only set whole seconds. So the clock is set at once, less than a second behind, and exactly when the next second
   * begins; waiting for that would keep the board's service waiting.
   */
  async #byKit(deadline: AbortSignal): Promise<{ readonly by: "kit" }> {
    const { notify } = this.#options;
    const outcome = await notify.clock(Math.floor(Date.now() / 1000), deadline);
    if (outcome !== "0") throw new TwinboardError("hook-failed", { detail: `clock: exit status ${outcome}` });
    this.#following = new AbortController();
    void setExactlyByKit(notify, this.#following.signal);
    return { by: "kit" };
  }
}

/** Again each second, until the answer came so soon that the clock cannot be off by more. */
async function setExactlyByKit(notify: NotifyPort, signal: AbortSignal): Promise<void> {
  try {
    for (let tries = 0; tries < kitTries; tries++) {
      const next = Math.floor(Date.now() / 1000) + 1;
      await sleep(next * 1000 - Date.now(), undefined, { signal, ref: false });
      await notify.clock(next, signal);
      if (Date.now() - next * 1000 <= kitToleranceMs) return;
    }
  } catch {
    // The board was paused again or died: then its clock does not matter.
  }
}
