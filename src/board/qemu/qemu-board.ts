/** A board that is a QEMU machine. */
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { TwinboardError } from "../../errors.ts";
import type { CpuGroup } from "../../system/cgroup.ts";
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
import { type Architecture, architectureOf } from "./architecture.ts";
import { awaitStart, startFailed } from "./awaited-start.ts";
import type { ClockSetting } from "./board-clock.ts";
import {
  machineDirectory,
  makeRecordDirectory,
  recordDirectory,
  removeDirectories,
} from "./board-directories.ts";
import { consolePipe } from "./command-line.ts";
import { launch, machineLimitBytes, neededPrograms } from "./launch.ts";
import { processFile } from "./launch-script.ts";
import { MachineCards } from "./machine-cards.ts";
import { machineCondition } from "./machine-condition.ts";
import { machineConfinement } from "./machine-confinement.ts";
import { MachineDevices } from "./machine-devices.ts";
import { MachineGroups } from "./machine-groups.ts";
import { MachineMarks } from "./machine-marks.ts";
import {
  endMachineProcess,
  findMachineProcess,
  type MachineProcess,
  machineUsage,
} from "./machine-process.ts";
import { MachineSleep } from "./machine-sleep.ts";
import { MachineSockets } from "./machine-sockets.ts";
import { MachineWatch } from "./machine-watch.ts";
import type { QemuBoardOptions } from "./qemu-options.ts";
import type { Session } from "./session.ts";

const stopTimeoutMs = 60_000;

export class QemuBoard implements Board {
  readonly name: BoardName;
  readonly mgmtHost: string;
  readonly kind = "qemu";
  readonly #options: QemuBoardOptions;
  readonly #architecture: Architecture;
  readonly #directory: string;
  readonly #records: string;
  readonly #console: ConsoleLog;
  readonly #stderrPath: string;
  readonly #marks: MachineMarks;
  readonly #cards: MachineCards;
  readonly #watch: MachineWatch;
  readonly #sleep: MachineSleep;
  readonly #groups: MachineGroups;
  readonly #confinement: Confinement;
  readonly #seat: ConsoleSeat;
  readonly #devices: MachineDevices;
  readonly #listeners = new Set<(event: BoardEvent) => void>();

  constructor(options: QemuBoardOptions) {
    const { name, names, stateDirectory } = options;
    this.#options = options;
    this.#architecture = architectureOf(options.architecture);
    this.name = name;
    this.mgmtHost = `${names.linkLocal(name, "mgmt")}%${names.card(name, "mgmt")}`;
    this.#directory = machineDirectory(names, name);
    this.#records = recordDirectory(names, name);
    this.#console = options.console ?? consoleOf(stateDirectory, name);
    this.#stderrPath = join(stateDirectory, `board-${name}.qemu`);
    this.#marks = new MachineMarks(this.#records);
    this.#cards = new MachineCards(options);
    const { placement, cpus, memoryLimitBytes = machineLimitBytes(options) } = options;
    this.#groups = new MachineGroups(`twinboard-${names.system}-${name}`, memoryLimitBytes);
    const find = async (): Promise<MachineProcess | undefined> => await this.#machine();
    this.#confinement = machineConfinement({ groups: this.#groups, placement, cpus, find });
    this.#seat = new ConsoleSeat(name);
    this.#devices = new MachineDevices({
      nodes: names.deviceNode(""),
      find: () => this.#machine(),
      isAwake: async () => (await this.inspect()).state === "running",
      hotPlug: async (signal) => {
        await this.#requireRunning(signal);
        return (await this.#session(signal)).hotPlug;
      },
    });
    this.#watch = new MachineWatch({
      sockets: new MachineSockets(this.#directory, this.#records, options.user.uid),
      marks: this.#marks,
      hasPcClock: this.#architecture.hasPcClock,
      find: () => this.#machine(),
      lastWords: () => this.#lastWords(),
      tell: (event) => {
        if (event.type === "died") this.#seat.clear();
        for (const listener of this.#listeners) listener(event);
      },
      tend: async () => {
        await this.#console.trim();
        await this.#confinement.tend();
      },
      watchdogMs: options.watchdogMs,
    });
    const { isLean = false } = options;
    const sleep = { marks: this.#marks, cards: this.#cards, watch: this.#watch, isLean };
    this.#sleep = new MachineSleep(sleep);
  }

  /** By what means `setPriority` works on this host, once the board was set up. */
  get priority(): CpuGroup | undefined {
    return this.#groups.cpu;
  }

  /** How the board's clock was set when it woke last, if this daemon woke it. */
  get clock(): ClockSetting | undefined {
    return this.#sleep.clock;
  }

  async setUp(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await requirePrograms({ ...neededPrograms, [this.#architecture.program]: this.#architecture.package });
    const { name, names, stateDirectory } = this.#options;
    await makeRecordDirectory(names, name);
    await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
    await this.#cards.setUp(signal);
    await this.#confinement.setUp(signal);
    this.#watch.begin();
  }

  async tearDown(signal: AbortSignal): Promise<void> {
    await this.stop(signal);
    await this.release();
    const { name, names, user } = this.#options;
    await this.#cards.tearDown(signal);
    await this.#confinement.remove();
    await removeDirectories(names, name, user);
  }

  async inspect(): Promise<BoardCondition> {
    return await machineCondition(await this.#machine(), this.#marks, this.#watch);
  }

  async usage(): Promise<BoardUsage | undefined> {
    const machine = await this.#machine();
    return machine === undefined ? undefined : machineUsage(machine.pid);
  }

  async start(start: BoardStart, signal: AbortSignal): Promise<void> {
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
    // What is left of a dead machine has told all it knows to the console and the journal.
    await this.stop(signal);
    await this.setUp(signal);
    // The last machine may have ended in its sleep.
    await this.#cards.open(signal);
    await this.#marks.clear();
    await this.#confinement.begin(start.priority ?? "background");
    const { name, names, memoryBytes, cpus, accelerator, identity, user } = this.#options;
    const { watchdogMs, devices, cans, lines } = this.#options;
    const { instance, kernelArguments } = start;
    const architecture = this.#architecture;
    const processor = { architecture, accelerator, memoryBytes, cpus };
    const machine = { name, names, ...processor, identity, instance, kernelArguments };
    const watchdogSeconds = watchdogMs === undefined ? undefined : Math.floor(watchdogMs / 1000);
    const find = async () => await this.#machine();
    const attach = async (found: MachineProcess, within: AbortSignal) =>
      await this.#watch.session(found, within);
    const lastWords = async () => await this.#lastWords();
    const console = await this.#console.begin();
    try {
      const { exit, end } = await launch({
        machine: { ...machine, watchdogSeconds, devices, cans, lines },
        images: start.images,
        directory: this.#directory,
        records: this.#records,
        user,
        cores: this.#confinement.placement.launchCores,
        groupPaths: this.#groups.paths,
        console,
        stderrPath: this.#stderrPath,
      });
      const stop = async (): Promise<void> => {
        try {
          await this.stop(AbortSignal.timeout(stopTimeoutMs));
        } finally {
          await end();
        }
      };
      await awaitStart({ instance, exit, find, attach, lastWords, stop }, signal);
      await this.#confinement.placement.apply(signal);
    } finally {
      await console.close();
    }
  }

  async ready(signal: AbortSignal): Promise<{ readonly version: string }> {
    const session = await this.#session(signal);
    const ready = await session.ready(signal);
    await session.setClockAtReady(signal);
    return ready;
  }

  async pause(signal: AbortSignal): Promise<void> {
    const machine = await this.#running(signal);
    if ((await this.inspect()).state === "dormant") return;
    this.#seat.clear();
    await this.#sleep.lay(machine, signal);
    if (this.#options.isLean === true) await this.#confinement.reclaim(signal);
  }

  async resume(signal: AbortSignal): Promise<void> {
    try {
      await this.#sleep.wake(await this.#running(signal), signal);
    } catch (cause) {
      signal.throwIfAborted();
      throw new TwinboardError("board-resume-failed", { detail: (cause as Error).message, cause });
    }
  }

  async stop(signal: AbortSignal): Promise<void> {
    const machine = await this.#machine();
    this.#seat.clear();
    if (machine !== undefined) {
      this.#watch.expectEnd(machine);
      // In the idle class of a core that is saturated even a killed process does not end.
      await this.#confinement.setPriority("service").catch(() => undefined);
      await endMachineProcess(machine, signal);
    }
    await rm(join(this.#records, processFile), { force: true });
    this.#marks.clearDormant();
  }

  async setPriority(priority: "background" | "service"): Promise<void> {
    await this.#confinement.setPriority(priority);
  }

  async place(placement: BoardPlacement, signal: AbortSignal): Promise<void> {
    await this.#confinement.place(placement, signal);
  }

  async confinement(): Promise<BoardConfinement> {
    return await this.#confinement.of();
  }

  async runHook(hook: HookName, signal: AbortSignal): Promise<"done" | "absent"> {
    return await (await this.#session(signal)).runHook(hook, signal);
  }

  async plugged(): Promise<readonly string[]> {
    return await this.#devices.plugged();
  }

  async plug(device: BoardDevice, signal: AbortSignal): Promise<void> {
    await this.#devices.plug(device, signal);
  }

  async unplug(id: string, signal: AbortSignal): Promise<void> {
    await this.#devices.unplug(id, signal);
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
      return await ConsoleAttachment.open(join(this.#directory, consolePipe.input), this.#console, over);
    }, signal);
  }

  release(): Promise<void> {
    this.#seat.clear();
    this.#watch.end();
    this.#cards.release();
    return Promise.resolve();
  }

  async #machine(): Promise<MachineProcess | undefined> {
    return await findMachineProcess(join(this.#records, processFile));
  }

  /** The process of a board that is meant to run. Errors: `board-died`. */
  async #running(signal: AbortSignal): Promise<MachineProcess> {
    signal.throwIfAborted();
    const machine = await this.#machine();
    if (machine === undefined)
      throw new TwinboardError("board-died", { detail: `board ${this.name} does not run` });
    return machine;
  }

  /** Errors: `board-not-running`, also of one that sleeps. */
  async #requireRunning(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { state } = await this.inspect();
    if (state !== "running")
      throw new TwinboardError("board-not-running", { detail: `board ${this.name} is ${state}` });
  }

  async #session(signal: AbortSignal): Promise<Session> {
    return await this.#watch.session(await this.#running(signal), signal);
  }

  async #lastWords(): Promise<string> {
    const text = await readFile(this.#stderrPath, "utf8").catch(() => "");
    return (await this.#confinement.death()) ?? (text.trim().slice(-1000) || "it said nothing");
  }
}
