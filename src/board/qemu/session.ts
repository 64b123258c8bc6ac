/** A daemon's connection to one run of a machine: QMP and its ports together, told apart from every other run by its instance. */

import { TwinboardError } from "../../errors.ts";
import { orAborted } from "../../system/abort.ts";
import type { BoardEvent, HookName } from "../board.ts";
import type { GuestMessage } from "../guest-message.ts";
import { Balloon } from "./balloon.ts";
import { BoardClock, type ClockSetting } from "./board-clock.ts";
import { HotPlug } from "./hot-plug.ts";
import type { MachineSockets } from "./machine-sockets.ts";
import { NotifyPort } from "./notify-port.ts";
import { QmpConnection, type QmpEvent } from "./qmp.ts";

export interface Death {
  readonly cause: "panic" | "shutdown" | "reset";
  readonly detail: string;
}

export interface SessionOptions {
  readonly sockets: MachineSockets;
  readonly instance: string;
  /** Of `Architecture`. */
  readonly hasPcClock: boolean;
  readonly onEvent: (event: BoardEvent) => void;
  /** The board has said that it lives. */
  readonly onAlive: () => void;
  readonly onDeath: (death: Death) => void;
  /** The machine's end of the connection was closed. */
  readonly onEnd: (session: Session) => void;
}

type RunState =
  | { readonly state: "running" | "dormant" }
  | { readonly state: "dead"; readonly reason: string };

const restoreTimeoutMs = 2000;

export class Session {
  readonly instance: string;
  /** Devices that the machine is given while it runs. */
  readonly hotPlug: HotPlug;
  readonly balloon: Balloon;
  readonly #options: SessionOptions;
  readonly #waiting = new Set<PromiseWithResolvers<string>>();
  #qmp: QmpConnection | undefined;
  #port: NotifyPort | undefined;
  #clock: BoardClock | undefined;
  #version: string | undefined;
  #death: Death | undefined;

  private constructor(options: SessionOptions) {
    this.#options = options;
    this.instance = options.instance;
    this.hotPlug = new HotPlug((command, args, signal) => this.#command(command, signal, args));
    this.balloon = new Balloon((command, args, signal) => this.#command(command, signal, args));
  }

  /** Errors: `board-died`, `deadline-passed`. */
  static async connect(options: SessionOptions): Promise<Session> {
    const session = new Session(options);
    const { sockets } = options;
    try {
      session.#qmp = await QmpConnection.open(await sockets.connect("qmp"), {
        onEvent: (event) => session.#hear(event),
        onEnd: () => {
          session.release();
          options.onEnd(session);
        },
      });
      const notify = new NotifyPort(await sockets.connect("notify"), (message) => session.#receive(message));
      session.#port = notify;
      // A machine that an earlier version of this program started has none.
      const clock = await sockets.connect("clock").catch(() => undefined);
      session.#clock = new BoardClock({
        sockets,
        notify,
        openPorts: async (signal) => await session.#openPorts(signal),
        clock,
      });
      // A machine that died while nobody was connected has sent its event to nobody.
      const { state, reason } = { reason: "", ...(await session.runState()) };
      if (state === "dead")
        session.#die({ cause: reason === "guest-panicked" ? "panic" : "shutdown", detail: reason });
      // A daemon that ended while it laid the machine to sleep, or woke it, has left its balloon full; earlier machines have none.
      if (state === "running")
        await session.balloon.restore(AbortSignal.timeout(restoreTimeoutMs)).catch(() => undefined);
      return session;
    } catch (error) {
      session.release();
      throw error;
    }
  }

  /** QEMU's RunState (QMP `query-status`) in the contract's words. */
  async runState(signal?: AbortSignal): Promise<RunState> {
    const { status } = (await this.#command("query-status", signal)) as { status?: unknown };
    if (status === "paused") return { state: "dormant" };
    if (status === "guest-panicked" || status === "shutdown" || status === "internal-error")
      return { state: "dead", reason: this.#death?.detail ?? status };
    return { state: "running" };
  }

  /** Errors: `board-died`; the signal's reason. */
  async ready(signal: AbortSignal): Promise<{ readonly version: string }> {
    signal.throwIfAborted();
    if (this.#death !== undefined) throw died(this.#death.detail);
    if (this.#version !== undefined) return { version: this.#version };
    const waiting = Promise.withResolvers<string>();
    this.#waiting.add(waiting);
    try {
      this.#port?.askForState();
      return { version: await orAborted(waiting.promise, signal) };
    } finally {
      this.#waiting.delete(waiting);
    }
  }

  /** Errors: `board-died`; the signal's reason. */
  async pause(signal: AbortSignal): Promise<void> {
    this.#clock?.rest();
    await this.#command("stop", signal);
    const state = await this.runState();
    if (state.state === "dead") throw died(state.reason);
  }

  /**
   * Lets the guest run and sets its clock. @param onWaking is called as soon as it was told to run, and waited for.
   * Errors: `board-died`, `command-failed`, `deadline-passed`, `hook-failed`; those of `onWaking`; the signal's reason.
   */
  async resume(signal: AbortSignal, onWaking: () => Promise<void>): Promise<ClockSetting> {
    if (this.#clock === undefined) throw died("it is not connected");
    if (this.#death !== undefined) throw died(this.#death.detail);
    const over = new AbortController();
    try {
      // All at once: whoever wakes it waits for the slowest alone.
      const [, clock] = await Promise.all([
        this.#command("cont", signal),
        this.#clock.set(AbortSignal.any([signal, over.signal])),
        // Timer interrupts of the real-time clock that were due meanwhile are dropped, not delivered in one burst.
        this.#options.hasPcClock ? this.#command("rtc-reset-reinjection", signal) : undefined,
        onWaking(),
      ]);
      return clock;
    } finally {
      over.abort();
    }
  }

  /** Sets the clock of a board that has just booted, as well as it can be done soon. */
  async setClockAtReady(signal: AbortSignal): Promise<void> {
    await this.#clock?.setAtReady(signal);
  }

  async runHook(hook: HookName, signal: AbortSignal): Promise<"done" | "absent"> {
    if (this.#port === undefined) throw died("it is not connected");
    const outcome = await this.#port.hook(hook, signal);
    if (outcome === "absent") return "absent";
    if (outcome === "0") return "done";
    throw new TwinboardError("hook-failed", { detail: `${hook}: exit status ${outcome.slice(0, 40)}` });
  }

  /** Lets go of the machine without touching it. Repeatable. */
  release(): void {
    for (const { reject } of this.#waiting) reject(died(this.#death?.detail ?? "it is no longer connected"));
    this.#qmp?.close();
    this.#port?.close();
    this.#clock?.close();
  }

  async #command(
    command: string,
    signal?: AbortSignal,
    args?: Readonly<Record<string, unknown>>,
  ): Promise<unknown> {
    if (this.#qmp === undefined) throw died("it is not connected");
    return await this.#qmp.execute(command, args, signal);
  }

  /** Those whose ends in the guest a program has open, by QEMU's names (QMP `query-chardev`). */
  async #openPorts(signal: AbortSignal): Promise<ReadonlySet<string>> {
    const chardevs = (await this.#command("query-chardev", signal)) as {
      readonly label?: unknown;
      readonly "frontend-open"?: unknown;
    }[];
    return new Set(
      chardevs.flatMap(({ label, "frontend-open": open }) => (open === true ? [String(label)] : [])),
    );
  }

  #hear(message: QmpEvent): void {
    this.hotPlug.hear(message);
    const { event, data } = message;
    if (event === "GUEST_PANICKED") this.#die({ cause: "panic", detail: "the guest's kernel panicked" });
    // Without `guest` it is our own doing: `quit`, or a signal.
    if (event === "SHUTDOWN" && data["guest"] === true) {
      if (data["reason"] === "guest-reset") this.#die({ cause: "reset", detail: "the guest reset itself" });
      else this.#die({ cause: "shutdown", detail: "the guest shut itself down" });
    }
  }

  #die(death: Death): void {
    if (this.#death !== undefined) return;
    this.#death = death;
    for (const { reject } of this.#waiting) reject(died(death.detail));
    // A dead guest answers nothing any more.
    this.#port?.close(death.detail);
    this.#clock?.close(death.detail);
    this.#options.onDeath(death);
  }

  #receive(message: GuestMessage): void {
    const { ready, status, stopping, watchdog } = message;
    const { onEvent, onAlive } = this.#options;
    if (watchdog === true) onAlive();
    if (status !== undefined) onEvent({ type: "status", text: status });
    if (stopping === true) {
      this.#version = undefined;
      onEvent({ type: "stopping" });
    }
    if (ready === undefined) return;
    // The board repeats its state whenever it is asked; an event is what is new.
    const isNew = this.#version !== ready;
    this.#version = ready;
    if (isNew) onEvent({ type: "ready", version: ready });
    for (const { resolve } of this.#waiting) resolve(ready);
  }
}

function died(detail: string): TwinboardError {
  return new TwinboardError("board-died", { detail });
}
