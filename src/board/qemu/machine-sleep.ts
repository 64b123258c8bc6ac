/** A machine's way to sleep and back. Whoever calls has found the machine that is meant. */
import type { ClockSetting } from "./board-clock.ts";
import type { MachineCards } from "./machine-cards.ts";
import type { MachineMarks } from "./machine-marks.ts";
import { type MachineProcess, machineUsage } from "./machine-process.ts";
import type { MachineWatch } from "./machine-watch.ts";
import type { Session } from "./session.ts";
import { settle } from "./settle.ts";

export interface MachineSleepOptions {
  readonly marks: MachineMarks;
  readonly cards: MachineCards;
  readonly watch: MachineWatch;
  /** It gives back what memory it can spare, before it sleeps. */
  readonly isLean: boolean;
}

const openTimeoutMs = 5000;
const deflateTimeoutMs = 5000;

export class MachineSleep {
  readonly #options: MachineSleepOptions;
  #clock: ClockSetting | undefined;

  constructor(options: MachineSleepOptions) {
    this.#options = options;
  }

  /** How the board's clock was set when it woke last, if this daemon woke it. */
  get clock(): ClockSetting | undefined {
    return this.#clock;
  }

  /** Errors: those of `Board.pause`; then the machine works and hears as before. */
  async lay(machine: MachineProcess, signal: AbortSignal): Promise<void> {
    const { marks, cards, watch, isLean } = this.#options;
    const session = await watch.session(machine, signal);
    try {
      // A guest that cannot, or does not in time, sleeps with what it has.
      if (isLean) await session.balloon.inflate(signal).catch(() => signal.throwIfAborted());
      watch.rest();
      // Before it is stopped: QEMU itself would keep the first frame for a card whose guest does not run.
      await cards.shut(signal);
      await session.pause(signal);
    } catch (error) {
      watch.wake();
      if (isLean) this.#deflate(session);
      await cards.open(AbortSignal.timeout(openTimeoutMs)).catch(() => undefined);
      throw error;
    }
    await marks.setDormant(machine);
    await settle(machine.pid, signal);
    await marks.setDormant(machine, machineUsage(machine.pid)?.cpuNs);
  }

  /** Errors: those of the connection, and of the clock. */
  async wake(machine: MachineProcess, signal: AbortSignal): Promise<void> {
    const { marks, cards, watch } = this.#options;
    // Before it wakes: a mark that is missing is found out by asking the machine, one too many is believed.
    marks.clearDormant();
    const session = await watch.session(machine, signal);
    // What comes from the moment on that it was told to run is for a board that does.
    this.#clock = await session.resume(signal, async () => await cards.open(signal));
    watch.wake();
    // It may have been laid to sleep by an earlier configuration's daemon.
    this.#deflate(session);
  }

  /** Nobody waits for it. */
  #deflate(session: Session): void {
    const limit = AbortSignal.timeout(deflateTimeoutMs);
    void session.balloon.deflate(limit).catch(() => undefined);
  }
}
