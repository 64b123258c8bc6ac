/** A daemon's connection to one run of a machine: QMP and the notify port together, told apart from every other run by its instance. */

import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { TwinboardError } from "../../errors.ts";
import { orAborted } from "../../system/abort.ts";
import type { BoardEvent, HookName } from "../board.ts";
import { agentChardev, sockets } from "./command-line.ts";
import { setClockByAgent } from "./guest-agent.ts";
import type { GuestMessage } from "./guest-message.ts";
import { HotPlug } from "./hot-plug.ts";
import { NotifyPort } from "./notify-port.ts";
import { QmpConnection, type QmpEvent } from "./qmp.ts";

export interface Death {
  readonly cause: "panic" | "shutdown" | "reset";
  readonly detail: string;
}

export interface SessionOptions {
  /** Where the machine's sockets are. */
  readonly directory: string;
  readonly instance: string;
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

/** A board that starves on a busy processor is slow to answer. */
const clockTimeoutMs = 10_000;
const clockToleranceMs = 100;
const clockTries = 20;

export class Session {
  readonly instance: string;
  /** Devices that the machine is given while it runs. */
  readonly hotPlug: HotPlug;
  readonly #options: SessionOptions;
  readonly #waiting = new Set<PromiseWithResolvers<string>>();
  #qmp: QmpConnection | undefined;
  #port: NotifyPort | undefined;
  #version: string | undefined;
  #death: Death | undefined;
  #clock: AbortController | undefined;

  private constructor(options: SessionOptions) {
    this.#options = options;
    this.instance = options.instance;
    this.hotPlug = new HotPlug((command, args, signal) => this.#command(command, signal, args));
  }

  /** Errors: `board-died`, `deadline-passed`. */
  static async connect(options: SessionOptions): Promise<Session> {
    const session = new Session(options);
    try {
      session.#qmp = await QmpConnection.connect(join(options.directory, sockets.qmp), {
        onEvent: (event) => session.#hear(event),
        onEnd: () => {
          session.release();
          options.onEnd(session);
        },
      });
      session.#port = await NotifyPort.connect(join(options.directory, sockets.notify), (message) =>
        session.#receive(message),
      );
      // A machine that died while nobody was connected has sent its event to nobody.
      const { state, reason } = { reason: "", ...(await session.runState()) };
      if (state === "dead")
        session.#die({ cause: reason === "guest-panicked" ? "panic" : "shutdown", detail: reason });
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
    this.#clock?.abort();
    await this.#command("stop", signal);
    const state = await this.runState();
    if (state.state === "dead") throw died(state.reason);
  }

  /** Lets the guest run and sets its clock. Errors: `board-died`, `command-failed`, `deadline-passed`; the signal's reason. */
  async resume(signal: AbortSignal): Promise<void> {
    await this.#command("cont", signal);
    const state = await this.runState();
    if (state.state === "dead") throw died(state.reason);
    // Timer interrupts of the real-time clock that were due meanwhile are dropped, not delivered in one burst.
    await this.#command("rtc-reset-reinjection", signal);
    await this.#setClock(signal);
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
    this.#clock?.abort();
    for (const { reject } of this.#waiting) reject(died(this.#death?.detail ?? "it is no longer connected"));
    this.#qmp?.close();
    this.#port?.close();
  }

  async #command(
    command: string,
    signal?: AbortSignal,
    args?: Readonly<Record<string, unknown>>,
  ): Promise<unknown> {
    if (this.#qmp === undefined) throw died("it is not connected");
    return await this.#qmp.execute(command, args, signal);
  }

  /** By the guest agent where one listens: it takes the exact time. */
  async #setClock(signal: AbortSignal): Promise<void> {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(clockTimeoutMs)]);
    if (await this.#agentListens())
      await setClockByAgent(join(this.#options.directory, sockets.agent), deadline);
    else await this.#setClockByKit(deadline);
  }

  /** Whether a program in the guest has the agent's port open (QMP `query-chardev`). */
  async #agentListens(): Promise<boolean> {
    const chardevs = (await this.#command("query-chardev")) as {
      label?: unknown;
      "frontend-open"?: unknown;
    }[];
    return chardevs.some(({ label, "frontend-open": open }) => label === agentChardev && open === true);
  }

  /**
   * The kit can only set whole seconds. So the clock is set at once, less than a second behind, and exactly when the next second
   * begins; waiting for that would keep the board's service waiting.
   */
  async #setClockByKit(deadline: AbortSignal): Promise<void> {
    const port = this.#port;
    if (port === undefined) throw died("it is not connected");
    const outcome = await port.clock(Math.floor(Date.now() / 1000), deadline);
    if (outcome !== "0") throw new TwinboardError("hook-failed", { detail: `clock: exit status ${outcome}` });
    this.#clock = new AbortController();
    void setClockExactly(port, this.#clock.signal);
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
    this.#clock?.abort();
    for (const { reject } of this.#waiting) reject(died(death.detail));
    // A dead guest answers nothing any more.
    this.#port?.close(death.detail);
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

/** Again each second, until the answer came so soon that the clock cannot be off by more. */
async function setClockExactly(port: NotifyPort, signal: AbortSignal): Promise<void> {
  try {
    for (let tries = 0; tries < clockTries; tries++) {
      const next = Math.floor(Date.now() / 1000) + 1;
      await sleep(next * 1000 - Date.now(), undefined, { signal, ref: false });
      await port.clock(next, signal);
      if (Date.now() - next * 1000 <= clockToleranceMs) return;
    }
  } catch {
    // The board was paused again or died: then its clock does not matter.
  }
}

function died(detail: string): TwinboardError {
  return new TwinboardError("board-died", { detail });
}
