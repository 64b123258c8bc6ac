/** A board that is an OCI container. */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { TwinboardError } from "../../errors.ts";
import { requirePrograms } from "../../system/programs.ts";
import type {
  Board,
  BoardCondition,
  BoardConfinement,
  BoardConsole,
  BoardDevice,
  BoardEvent,
  BoardName,
  BoardPlacement,
  BoardStart,
  BoardUsage,
  HookName,
} from "../board.ts";
import type { Confinement } from "../confinement.ts";
import { type ConsoleLog, consoleOf } from "../console.ts";
import { ConsoleAttachment } from "../console-attachment.ts";
import { ConsoleSeat } from "../console-seat.ts";
import { requireKind } from "../software.ts";
import { awaitContainer, startFailed } from "./awaited-container.ts";
import { ContainerCards } from "./container-cards.ts";
import { containerConfinement } from "./container-confinement.ts";
import { ContainerDevices } from "./container-devices.ts";
import { withEvidence } from "./container-evidence.ts";
import { ContainerGroup } from "./container-group.ts";
import { ContainerGroups } from "./container-groups.ts";
import { ContainerHelpers } from "./container-helpers.ts";
import { type ContainerBoardOptions, containerRecords, firstIdOf } from "./container-options.ts";
import {
  type ContainerProcess,
  findContainer,
  findLiving,
  findMonitor,
  identityOf,
  type Trace,
  usageOf,
} from "./container-process.ts";
import { ContainerSleep } from "./container-sleep.ts";
import { ContainerWatch } from "./container-watch.ts";
import { runHook } from "./hooks.ts";
import { launch, neededPrograms } from "./launch.ts";
import { recordFiles } from "./launch-script.ts";
import { processLacks } from "./process-limit.ts";
import { lastWordsIn, runtimeAtWork } from "./runtime-process.ts";

const stopTimeoutMs = 30_000;
const monitorTimeoutMs = 2000;
const pollMs = 5;

export class ContainerBoard implements Board {
  readonly name: BoardName;
  readonly mgmtHost: string;
  readonly kind = "container";
  readonly #options: ContainerBoardOptions;
  readonly #id: string;
  readonly #records: string;
  readonly #group: ContainerGroup;
  readonly #groups: ContainerGroups;
  readonly #helpers: ContainerHelpers;
  readonly #confinement: Confinement;
  readonly #cards: ContainerCards;
  readonly #devices: ContainerDevices;
  readonly #console: ConsoleLog;
  readonly #stderrPath: string;
  readonly #seat: ConsoleSeat;
  readonly #watch: ContainerWatch;
  readonly #sleep: ContainerSleep;
  readonly #listeners = new Set<(event: BoardEvent) => void>();

  constructor(options: ContainerBoardOptions) {
    const { name, names, stateDirectory } = options;
    this.#options = options;
    this.name = name;
    this.mgmtHost = `${names.linkLocal(name, "mgmt")}%${names.card(name, "mgmt")}`;
    this.#id = `twinboard-${names.system}-${name}`;
    this.#records = containerRecords(names, name);
    this.#group = new ContainerGroup(this.#id);
    this.#helpers = new ContainerHelpers(this.#records, this.#group);
    this.#groups = new ContainerGroups(this.#id, this.#group, options.memoryBytes);
    this.#confinement = containerConfinement(this.#groups, this.#records, options.placement);
    this.#cards = new ContainerCards(options);
    this.#devices = new ContainerDevices({
      directory: names.deviceNode(`.board-${name}`),
      nodeOf: (id) => names.deviceNode(id),
      firstId: firstIdOf(this.#id),
      group: this.#group,
    });
    this.#console = options.console ?? consoleOf(stateDirectory, name);
    this.#stderrPath = join(stateDirectory, `board-${name}.container`);
    this.#seat = new ConsoleSeat(name);
    this.#watch = new ContainerWatch({
      records: this.#records,
      find: async () => await this.#trace(),
      hears: async () => await this.#helpers.hears(),
      isAsleep: async () => await this.#group.isFrozen(),
      tell: (event) => {
        if (event.type === "died") this.#seat.clear();
        for (const listener of this.#listeners) listener(event);
      },
      tend: async () => await this.#console.trim(),
      care: async () => await this.#confinement.tend(),
      lastWords: async () => await this.#lastWords(),
      watchdogMs: options.watchdogMs,
    });
    this.#sleep = new ContainerSleep({
      group: this.#group,
      confinement: this.#confinement,
      cards: this.#cards,
      watch: this.#watch,
      isLean: options.isLean ?? false,
    });
  }

  async setUp(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { runtime, stateDirectory } = this.#options;
    await requirePrograms({ ...neededPrograms, [runtime]: runtime });
    await mkdir(this.#records, { recursive: true, mode: 0o700 });
    await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
    await this.#cards.setUp(signal);
    await this.#confinement.setUp(signal);
    this.#watch.begin();
  }

  async tearDown(signal: AbortSignal): Promise<void> {
    await this.stop(signal);
    await this.release();
    await this.#cards.tearDown(signal);
    await this.#devices.tearDown();
    await this.#confinement.remove();
    await rm(this.#records, { recursive: true, force: true });
  }

  async inspect(): Promise<BoardCondition> {
    const trace = await this.#trace();
    if (trace === undefined) return { state: "off" };
    const { process, alive, end, isLeft } = trace;
    if (alive)
      return { state: (await this.#group.isFrozen()) ? "dormant" : "running", ...identityOf(process) };
    if (end === undefined || (end.cause === "exit" && isLeft !== true)) return { state: "off" };
    return { state: "dead", ...identityOf(process), reason: end.detail };
  }

  async usage(): Promise<BoardUsage | undefined> {
    if ((await this.#trace())?.alive !== true) return undefined;
    return await usageOf(this.#group, this.#groups.memory);
  }

  /** Ids of all of its processes, as the host numbers them. */
  async processes(): Promise<readonly number[]> {
    return await this.#group.processes();
  }

  async start(start: BoardStart, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    requireKind(start, this);
    const before = await this.inspect();
    if (before.state === "running" || before.state === "dormant") {
      if (before.instance === start.instance) {
        // An earlier daemon may have been about to lay it to sleep.
        if (before.state === "running") await this.#cards.open(signal);
        return;
      }
      throw startFailed(`instance ${before.instance} runs (process ${before.pid})`);
    }
    await this.stop(signal);
    await (this.#cards.areMade ? this.#confinement.setUp(signal) : this.setUp(signal));
    await this.#cards.open(signal);
    await this.#devices.setUp();
    await this.#watch.prepare();
    await this.#confinement.begin(start.priority ?? "background");
    const console = await this.#console.begin();
    try {
      const { exit, end } = await launch({
        board: this.#options,
        start,
        id: this.#id,
        firstId: firstIdOf(this.#id),
        group: this.#group,
        groups: this.#groups,
        cores: this.#confinement.placement.launchCores,
        records: this.#records,
        devices: this.#devices.directory,
        namespace: this.#cards.namespace,
        console,
        stderrPath: this.#stderrPath,
      });
      const find = async () => await this.#trace();
      const lastWords = async () => await this.#lastWords();
      const stop = async () => await end().then(() => this.stop(AbortSignal.timeout(stopTimeoutMs)));
      const runtime = async () => await runtimeAtWork(this.#options.runtime, await this.#group.helpers());
      await awaitContainer({ instance: start.instance, exit, find, runtime, lastWords, stop }, signal);
      await this.#confinement.placement.apply(signal);
    } finally {
      await console.close();
    }
    await this.#watch.look();
  }

  async ready(signal: AbortSignal): Promise<{ readonly version: string }> {
    const container = await this.#alive(signal);
    this.#watch.begin();
    return { version: await this.#watch.ready(container, signal) };
  }

  async pause(signal: AbortSignal): Promise<void> {
    await this.#alive(signal);
    if (await this.#group.isFrozen()) return;
    this.#seat.clear();
    await this.#sleep.lay(signal);
  }

  async resume(signal: AbortSignal): Promise<void> {
    try {
      await this.#alive(signal);
      await this.#sleep.wake(signal);
    } catch (cause) {
      signal.throwIfAborted();
      throw new TwinboardError("board-resume-failed", { detail: (cause as Error).message, cause });
    }
  }

  async stop(signal: AbortSignal): Promise<void> {
    const trace = await this.#trace();
    this.#seat.clear();
    if (trace !== undefined) this.#watch.expectEnd(trace.process);
    // In the idle class of a core that is saturated even a killed process does not end.
    if (trace?.alive === true || (await findMonitor(this.#records)) !== undefined)
      await this.#confinement.setPriority("service").catch(() => undefined);
    await this.#confinement.gather();
    await this.#group.kill(signal);
    // It still has to clear away what the runtime knows of the container; one that is launching goes on instead.
    const deadline = performance.now() + (trace === undefined ? 0 : monitorTimeoutMs);
    while ((await findMonitor(this.#records)) !== undefined && performance.now() < deadline)
      await sleep(pollMs, undefined, { signal });
    await this.#group.killHelpers(signal);
    await rm(join(this.#records, recordFiles.process), { force: true });
  }

  async setPriority(priority: "background" | "service"): Promise<void> {
    await this.#confinement.setPriority(priority);
  }

  async place(placement: BoardPlacement, signal: AbortSignal): Promise<void> {
    await this.#confinement.place(placement, signal);
  }

  async confinement(): Promise<BoardConfinement> {
    const held = await this.#confinement.of();
    if ((await findLiving(this.#records)) === undefined) return held;
    const lacks = [...(await this.#helpers.lacks()), ...(await processLacks(this.#group))];
    return { ...held, lacks: [...held.lacks, ...lacks] };
  }

  async runHook(hook: HookName, signal: AbortSignal): Promise<"done" | "absent"> {
    const { pid } = await this.#alive(signal);
    await this.#requireRunning(signal);
    const runtime = (await this.#helpers.runtime()) ?? this.#options.runtime;
    const witness = await this.#helpers.witness();
    if (witness === undefined)
      throw new TwinboardError("hook-failed", { detail: `${hook}: what started the container was killed` });
    const cores = this.#confinement.placement.launchCores;
    return await runHook(
      { hook, pid, witness, runtime, cores, id: this.#id, records: this.#records, group: this.#group },
      signal,
    );
  }

  async plugged(): Promise<readonly string[]> {
    return (await this.#trace())?.alive === true ? await this.#devices.ids() : [];
  }

  async plug(device: BoardDevice, signal: AbortSignal): Promise<void> {
    await this.#requireRunning(signal);
    await this.#devices.add(device, signal);
  }

  async unplug(id: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if ((await this.inspect()).state === "off") return;
    await this.#requireRunning(signal);
    await this.#devices.remove(id, signal);
  }

  subscribe(listener: (event: BoardEvent) => void): () => void {
    this.#listeners.add(listener);
    this.#watch.begin();
    return () => this.#listeners.delete(listener);
  }

  async consoleTail(lines: number): Promise<string[]> {
    return await this.#console.tail(lines);
  }

  followConsole(lines: number, signal: AbortSignal): AsyncIterable<string> {
    return this.#console.followLines(lines, signal);
  }

  async attachConsole(signal: AbortSignal): Promise<BoardConsole> {
    return await this.#seat.take(async (over) => {
      await this.#requireRunning(over);
      return await ConsoleAttachment.open(join(this.#records, recordFiles.consoleInput), this.#console, over);
    }, signal);
  }

  release(): Promise<void> {
    this.#seat.clear();
    this.#watch.end();
    this.#cards.release();
    return Promise.resolve();
  }

  async #trace(): Promise<Trace | undefined> {
    const found = await findContainer(this.#records);
    const isFrozen = found?.alive === true && (await this.#group.isFrozen());
    const trace = (isFrozen ? await this.#helpers.lostInItsSleep(found.process) : undefined) ?? found;
    if (trace?.end === undefined) return trace;
    return await withEvidence(trace, await this.#confinement.death(), this.#console);
  }

  /** Errors: `board-died`. */
  async #alive(signal: AbortSignal): Promise<ContainerProcess> {
    signal.throwIfAborted();
    const trace = await this.#trace();
    if (trace?.alive === true) return trace.process;
    const why = trace?.end?.detail ?? `board ${this.name} does not run`;
    throw new TwinboardError("board-died", { detail: why });
  }

  /** Errors: `board-not-running`, also of one that sleeps. */
  async #requireRunning(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { state } = await this.inspect();
    if (state !== "running")
      throw new TwinboardError("board-not-running", { detail: `board ${this.name} is ${state}` });
  }

  async #lastWords(): Promise<string> {
    const paths = [join(this.#records, recordFiles.runtimeLog), this.#stderrPath];
    return (await this.#confinement.death()) ?? (await lastWordsIn(paths));
  }
}
