/** Hears what a board says and notices its end, whoever started it. */
import { type FSWatcher, watch } from "node:fs";
import { join } from "node:path";
import { TwinboardError } from "../../errors.ts";
import { orAborted } from "../../system/abort.ts";
import { Turns } from "../../system/turns.ts";
import type { BoardEvent } from "../board.ts";
import type { GuestMessage } from "../guest-message.ts";
import { Watchdog } from "../watchdog.ts";
import type { ContainerProcess, Trace } from "./container-process.ts";
import { recordFiles } from "./launch-script.ts";
import { NotifyRecord, type SaidState } from "./notify-record.ts";

export interface ContainerWatchOptions {
  /** Exists once `begin` is called. */
  readonly records: string;
  readonly find: () => Promise<Trace | undefined>;
  /** Whether somebody takes down what it says: one whom nobody hears is not silent. */
  readonly hears: () => Promise<boolean>;
  readonly isAsleep: () => Promise<boolean>;
  readonly tell: (event: BoardEvent) => void;
  /** Called with each look at a container that runs. */
  readonly tend: () => Promise<void>;
  /** Called now and then, one at a time, also while none runs yet; what it takes delays nobody. */
  readonly care: () => Promise<void>;
  /** What its runtime said last. */
  readonly lastWords: () => Promise<string>;
  readonly watchdogMs: number | undefined;
}

/** How often a look is taken although no file has changed. */
const intervalMs = 2000;

export class ContainerWatch {
  readonly #options: ContainerWatchOptions;
  readonly #record: NotifyRecord;
  readonly #turns = new Turns();
  #timer: NodeJS.Timeout | undefined;
  #changes: FSWatcher | undefined;
  #again = false;
  #caring = false;
  /** Whose words `#said` are. */
  #known: ContainerProcess | undefined;
  #said: SaidState = {};
  #watchdog: Watchdog | undefined;
  #ending: string | undefined;
  readonly #told = new Set<string>();
  readonly #waiting = new Set<PromiseWithResolvers<string>>();

  constructor(options: ContainerWatchOptions) {
    this.#options = options;
    this.#record = new NotifyRecord(join(options.records, recordFiles.notify));
  }

  /** Begins to look. Repeatable. */
  begin(): void {
    this.#timer ??= setInterval(() => {
      void this.look();
      void this.#care();
    }, intervalMs);
    if (this.#changes === undefined) {
      try {
        this.#changes = watch(this.#options.records, { persistent: false }, () => this.#soon());
        this.#changes.on("error", () => undefined);
      } catch {
        // There is no directory yet: the next begin finds it.
      }
    }
    this.#soon();
  }

  /** A container is about to start. */
  async prepare(): Promise<void> {
    await this.#turns.take(async () => {
      this.#forget();
      this.#ending = undefined;
      await this.#record.clear();
    });
  }

  /** Errors: `board-died`; the signal's reason. */
  async ready(container: ContainerProcess, signal: AbortSignal): Promise<string> {
    await this.look();
    signal.throwIfAborted();
    if (this.#known?.instance === container.instance && this.#said.version !== undefined)
      return this.#said.version;
    if (this.#told.has(container.instance)) throw died("it has ended");
    const waiting = Promise.withResolvers<string>();
    this.#waiting.add(waiting);
    try {
      return await orAborted(waiting.promise, signal);
    } finally {
      this.#waiting.delete(waiting);
    }
  }

  rest(): void {
    this.#watchdog?.rest();
  }

  wake(): void {
    this.#watchdog?.wake();
  }

  /** From here on the end of this container is no death. */
  expectEnd({ instance }: ContainerProcess): void {
    this.#ending = instance;
    this.#forget();
    this.#refuse("it was stopped");
  }

  /** Repeatable. */
  end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#changes?.close();
    this.#changes = undefined;
    this.#forget();
    this.#refuse("it was let go of");
  }

  /** Reads what is new. */
  async look(): Promise<void> {
    await this.#turns.take(async () => await this.#look()).catch(() => undefined);
  }

  async #care(): Promise<void> {
    if (this.#caring) return;
    this.#caring = true;
    await this.#options.care().catch(() => undefined);
    this.#caring = false;
  }

  #soon(): void {
    if (this.#again) return;
    this.#again = true;
    setImmediate(() => {
      this.#again = false;
      void this.look();
    });
  }

  async #look(): Promise<void> {
    const { find, tend, isAsleep, tell, lastWords } = this.#options;
    const trace = await find();
    if (trace !== undefined && trace.process.instance !== this.#ending) await this.#listen(trace, isAsleep);
    if (trace?.alive === true) {
      await tend().catch(() => undefined);
      await this.#record.trim(this.#said);
      return;
    }
    const known = this.#known;
    if (known === undefined || known.instance === this.#ending || this.#timer === undefined) return;
    this.#forget();
    if (this.#told.has(known.instance)) return;
    this.#told.add(known.instance);
    const end = trace?.end ?? { cause: "exit" as const, detail: `the container ended: ${await lastWords()}` };
    this.#refuse(end.detail);
    tell({ type: "died", ...end });
  }

  async #listen({ process, alive }: Trace, isAsleep: () => Promise<boolean>): Promise<void> {
    if (this.#known?.instance !== process.instance) {
      // One that was dead before anybody looked has told nobody anything.
      if (!alive) return;
      this.#forget();
      this.#known = process;
      this.#said = await this.#record.kept();
      const { watchdogMs } = this.#options;
      if (watchdogMs !== undefined)
        this.#watchdog = new Watchdog(watchdogMs, (detail) => void this.#hung(process, detail));
      if (await isAsleep()) this.#watchdog?.rest();
      if (this.#said.version !== undefined) this.#watchdog?.heard();
    }
    for (const message of await this.#record.read()) this.#hear(message);
    if (this.#said.version !== undefined)
      for (const { resolve } of this.#waiting) resolve(this.#said.version);
  }

  async #hung({ instance }: ContainerProcess, detail: string): Promise<void> {
    const isHeard = await this.#options.hears().catch(() => true);
    if (this.#known?.instance !== instance) return;
    if (isHeard) this.#options.tell({ type: "hung", detail });
    // It has its whole time again, from now on: somebody may hear it by then.
    else this.#watchdog?.heard();
  }

  #hear({ ready, status, stopping, watchdog }: GuestMessage): void {
    const { tell } = this.#options;
    if (watchdog === true) this.#watchdog?.heard();
    if (status !== undefined) {
      this.#said = { ...this.#said, status };
      tell({ type: "status", text: status });
    }
    if (stopping === true) {
      const { version: _, ...rest } = this.#said;
      this.#said = { ...rest, stopping };
      tell({ type: "stopping" });
    }
    if (ready === undefined) return;
    const isNew = this.#said.version !== ready;
    const { stopping: _, ...rest } = this.#said;
    this.#said = { ...rest, version: ready };
    if (isNew) tell({ type: "ready", version: ready });
  }

  #refuse(detail: string): void {
    for (const { reject } of this.#waiting) reject(died(detail));
  }

  #forget(): void {
    this.#known = undefined;
    this.#said = {};
    this.#watchdog?.end();
    this.#watchdog = undefined;
    this.#record.rewind();
  }
}

function died(detail: string): TwinboardError {
  return new TwinboardError("board-died", { detail });
}
