/** Keeps one connection to the machine that runs, notices its end, and tells what it says, whoever started it. */
import { setTimeout as sleep } from "node:timers/promises";
import { orAborted } from "../../system/abort.ts";
import type { BoardEvent } from "../board.ts";
import { Watchdog } from "../watchdog.ts";
import { watchdogArgument } from "./command-line.ts";
import type { MachineMarks } from "./machine-marks.ts";
import { isAlive, kernelCommandLineOf, type MachineProcess } from "./machine-process.ts";
import type { MachineSockets } from "./machine-sockets.ts";
import { type Death, Session } from "./session.ts";

export interface MachineWatchOptions {
  readonly sockets: MachineSockets;
  readonly marks: MachineMarks;
  /** Of `Architecture`. */
  readonly hasPcClock: boolean;
  /** The machine that runs at this moment, by the kernel's account. */
  readonly find: () => Promise<MachineProcess | undefined>;
  /** What QEMU itself wrote last. */
  readonly lastWords: () => Promise<string>;
  readonly tell: (event: BoardEvent) => void;
  /** Called with each look at a machine that runs. */
  readonly tend: () => Promise<void>;
  /** For how long a board that says that it lives may be silent; `undefined`: for ever. */
  readonly watchdogMs: number | undefined;
}

/** How often a look is taken: at a dormant machine that an earlier daemon put to sleep, at a console that grows. Reads /proc alone. */
const intervalMs = 2000;
/** The sockets of a process close a moment before it is gone from /proc. */
const endTimeoutMs = 1000;

export class MachineWatch {
  readonly #options: MachineWatchOptions;
  #session: Session | undefined;
  #connecting: Promise<Session> | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** What ran when somebody last looked, so that its end is noticed. */
  #known: MachineProcess | undefined;
  /** Over the instance that it was made for; it outlives a connection that was lost. */
  #watchdog: { readonly instance: string; readonly watchdog: Watchdog } | undefined;
  /** The instance whose end is our own doing. */
  #ending: string | undefined;
  /** Counts the times that everything was let go of: what was begun before is nobody's any more. */
  #era = 0;

  constructor(options: MachineWatchOptions) {
    this.#options = options;
  }

  /** Begins to look. Repeatable. */
  begin(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setInterval(() => void this.#look(), intervalMs);
    this.#timer.unref();
    void this.#look();
  }

  /** The one connection to this machine, made when it is first needed. Errors: `board-died`, `deadline-passed`; the signal's reason. */
  async session(machine: MachineProcess, signal: AbortSignal): Promise<Session> {
    signal.throwIfAborted();
    if (this.#session?.instance === machine.instance) return this.#session;
    this.#ending = undefined;
    this.#connecting ??= this.#connect(machine).finally(() => (this.#connecting = undefined));
    return await orAborted(this.#connecting, signal);
  }

  /** The machine is about to be paused. */
  rest(): void {
    this.#watchdog?.watchdog.rest();
  }

  /** The machine runs again. */
  wake(): void {
    this.#watchdog?.watchdog.wake();
  }

  /** From here on the end of this machine is no death. */
  expectEnd(machine: MachineProcess): void {
    this.#ending = machine.instance;
    this.#letGo();
  }

  /** Lets go of the machine without touching it, and looks no more. Repeatable. */
  end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#letGo();
  }

  #letGo(): void {
    this.#era += 1;
    this.#known = undefined;
    this.#watchdog?.watchdog.end();
    this.#watchdog = undefined;
    this.#session?.release();
    this.#session = undefined;
  }

  async #connect(machine: MachineProcess): Promise<Session> {
    const era = this.#era;
    const { sockets, hasPcClock, tell } = this.#options;
    const watchdog = await this.#watchdogOver(machine);
    const session = await Session.connect({
      sockets,
      hasPcClock,
      instance: machine.instance,
      onEvent: tell,
      onAlive: () => watchdog?.heard(),
      onDeath: (death) => void this.#died(machine, death),
      onEnd: (session) => void this.#ended(machine, session),
    });
    if (era !== this.#era) {
      // Who asked for it may still use it up to its next failure, but nobody will release it later.
      session.release();
      return session;
    }
    this.#known = machine;
    return (this.#session = session);
  }

  async #watchdogOver(machine: MachineProcess): Promise<Watchdog | undefined> {
    const { watchdogMs, marks, tell } = this.#options;
    if (watchdogMs === undefined) return undefined;
    if (this.#watchdog?.instance === machine.instance) return this.#watchdog.watchdog;
    this.#watchdog?.watchdog.end();
    // The board keeps to what it was started with, also when the configuration asks for more by now.
    const promised = new RegExp(`\\b${watchdogArgument}=(\\d{1,6})\\b(?!.*${watchdogArgument}=)`).exec(
      kernelCommandLineOf(machine),
    )?.[1];
    const watchdog = new Watchdog(Math.max(watchdogMs, Number(promised ?? 0) * 1000), (detail) =>
      tell({ type: "hung", detail }),
    );
    if (await marks.isDormant(machine)) watchdog.rest();
    this.#watchdog = { instance: machine.instance, watchdog };
    return watchdog;
  }

  /** Writes down what the machine died of before anybody is told, so that whoever inspects then finds it. */
  async #died(machine: MachineProcess, death: Death): Promise<void> {
    const { marks, tell } = this.#options;
    if (this.#watchdog?.instance === machine.instance) this.#watchdog.watchdog.end();
    // An earlier daemon heard the cause itself; a later one can only ask for the state that it left.
    const known = await marks.death(machine);
    if (known === undefined) await marks.setDeath(machine, death).catch(() => undefined);
    tell({ type: "died", ...(known ?? death) });
  }

  /** QEMU's end of the connection was closed: its process has ended, or it will be connected to again. */
  async #ended(machine: MachineProcess, session: Session): Promise<void> {
    if (this.#session !== session) return;
    this.#session = undefined;
    const deadline = performance.now() + endTimeoutMs;
    while ((await isAlive(machine)) && performance.now() < deadline) await sleep(5);
    await this.#look();
  }

  async #look(): Promise<void> {
    const era = this.#era;
    const { marks, find, lastWords, tell, tend } = this.#options;
    const machine = await find();
    if (machine !== undefined) await tend().catch(() => undefined);
    const dormant = machine !== undefined && (await marks.isDormant(machine));
    if (era !== this.#era || (machine !== undefined && machine.instance === this.#ending)) return;
    const known = this.#known;
    this.#known = machine;
    if (known !== undefined && machine?.instance !== known.instance) {
      if (this.#watchdog?.instance === known.instance) this.#watchdog.watchdog.end();
      tell({ type: "died", cause: "exit", detail: `QEMU ended: ${await lastWords()}` });
    }
    if (machine !== undefined && !dormant && this.#session === undefined && this.#timer !== undefined)
      await this.session(machine, AbortSignal.timeout(intervalMs)).catch(() => undefined);
  }
}
