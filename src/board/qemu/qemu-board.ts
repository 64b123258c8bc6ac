/** A board that is a QEMU machine. */
import { chmod, chown, mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { TwinboardError } from "../../errors.ts";
import { type CpuGroup, makeCpuGroup, removeCpuGroup, setCpuPriority } from "../../system/cgroup.ts";
import type { SystemNames } from "../../system/names.ts";
import { createTap, deleteTap } from "../../system/tap.ts";
import type {
  Board,
  BoardCondition,
  BoardConsole,
  BoardDevice,
  BoardEvent,
  BoardName,
  BoardStart,
  BoardUsage,
  HookName,
} from "../board.ts";
import { type Accelerator, type BoardIdentity, type CanController, consolePipe } from "./command-line.ts";
import { ConsoleLog } from "./console.ts";
import { ConsoleAttachment } from "./console-attachment.ts";
import { ConsoleSeat } from "./console-seat.ts";
import { launch, lockedExitCode, neededPrograms, processFile } from "./launch.ts";
import { type BoardLine, boardDirectory } from "./line-ports.ts";
import { MachineDevices } from "./machine-devices.ts";
import { MachineMarks } from "./machine-marks.ts";
import {
  endMachineProcess,
  findMachineProcess,
  isAlive,
  type MachineProcess,
  machineUsage,
} from "./machine-process.ts";
import { MachineWatch } from "./machine-watch.ts";
import { requirePrograms } from "./programs.ts";
import type { Session } from "./session.ts";
import { settle } from "./settle.ts";

export interface QemuBoardOptions {
  readonly name: BoardName;
  readonly names: SystemNames;
  readonly memoryBytes: number;
  readonly cpus: number;
  /** Cores of the host that the board may use; all of them if it is left out. */
  readonly cores?: readonly number[];
  readonly accelerator: Accelerator;
  /** Whom QEMU runs as. */
  readonly user: { readonly uid: number; readonly gid: number };
  readonly identity: BoardIdentity;
  /** Where the console is kept. */
  readonly stateDirectory: string;
  /** How long a board that says that it lives may be silent, 2 s at least; without it nobody minds. */
  readonly watchdogMs?: number | undefined;
  /** What it can be given while it runs. */
  readonly devices?: readonly BoardDevice[] | undefined;
  readonly cans?: readonly CanController[] | undefined;
  /** Serial lines and streams of the service: the board has a port for each. */
  readonly lines?: readonly BoardLine[];
}

const startTimeoutMs = 60_000;
const statusTimeoutMs = 1000;

export class QemuBoard implements Board {
  readonly name: BoardName;
  readonly mgmtHost: string;
  readonly #options: QemuBoardOptions;
  readonly #directory: string;
  readonly #groupName: string;
  readonly #console: ConsoleLog;
  readonly #stderrPath: string;
  readonly #marks: MachineMarks;
  readonly #watch: MachineWatch;
  readonly #seat: ConsoleSeat;
  readonly #devices: MachineDevices;
  readonly #listeners = new Set<(event: BoardEvent) => void>();
  #cpuGroup: CpuGroup | undefined;

  constructor(options: QemuBoardOptions) {
    const { name, names, stateDirectory } = options;
    this.#options = options;
    this.name = name;
    this.mgmtHost = `${names.linkLocal(name, "mgmt")}%${names.card(name, "mgmt")}`;
    this.#directory = boardDirectory(names, name);
    this.#groupName = `twinboard-${names.system}-${name}`;
    this.#console = new ConsoleLog(join(stateDirectory, `board-${name}.console`));
    this.#stderrPath = join(stateDirectory, `board-${name}.qemu`);
    this.#marks = new MachineMarks(this.#directory);
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
      directory: this.#directory,
      marks: this.#marks,
      find: () => this.#machine(),
      lastWords: () => this.#lastWords(),
      tell: (event) => {
        if (event.type === "died") this.#seat.clear();
        for (const listener of this.#listeners) listener(event);
      },
      tend: () => this.#console.trim(),
      watchdogMs: options.watchdogMs,
    });
  }

  /** By what means `setPriority` works on this host, once the board was set up. */
  get priority(): CpuGroup | undefined {
    return this.#cpuGroup;
  }

  async setUp(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await requirePrograms(neededPrograms);
    const { name, names, user, identity, stateDirectory } = this.#options;
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    await chmod(this.#directory, 0o700);
    await chown(this.#directory, user.uid, user.gid);
    await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
    const ownerUid = user.uid;
    const neighbour = { address: names.linkLocal(name, "mgmt"), mac: names.mac(name, "mgmt") };
    await createTap({ name: names.card(name, "mgmt"), ownerUid, ipv6: "link-local", neighbour }, signal);
    const ipv6 = identity.ipv6 === undefined || identity.wire !== "link" ? "off" : "silent";
    if (typeof identity.wire === "string")
      await createTap({ name: names.card(name, "service"), ownerUid, ipv6 }, signal);
    this.#cpuGroup = await makeCpuGroup(this.#groupName);
    this.#watch.begin();
  }

  async tearDown(signal: AbortSignal): Promise<void> {
    await this.stop(signal);
    await this.release();
    const { name, names } = this.#options;
    await deleteTap(names.card(name, "mgmt"), signal);
    await deleteTap(names.card(name, "service"), signal);
    await removeCpuGroup(this.#groupName);
    await rm(this.#directory, { recursive: true, force: true });
  }

  async inspect(): Promise<BoardCondition> {
    const machine = await this.#machine();
    if (machine === undefined) return { state: "off" };
    if (await this.#marks.isDormant(machine)) return { state: "dormant", ...machine };
    const death = await this.#marks.death(machine);
    if (death !== undefined) return { state: "dead", ...machine, reason: death.detail };
    // A QEMU that cannot be asked is, as far as the kernel tells, a process that runs.
    const signal = AbortSignal.timeout(statusTimeoutMs);
    const status = await this.#watch
      .session(machine, signal)
      .then((session) => session.runState(signal))
      .catch(() => ({ state: "running" as const }));
    if (status.state === "dead") return { ...status, ...machine, reason: status.reason };
    return (await isAlive(machine)) ? { ...status, ...machine } : { state: "off" };
  }

  async usage(): Promise<BoardUsage | undefined> {
    const machine = await this.#machine();
    return machine === undefined ? undefined : await machineUsage(machine.pid);
  }

  async start(start: BoardStart, signal: AbortSignal): Promise<void> {
    const before = await this.inspect();
    if (before.state === "running" || before.state === "dormant") {
      if (before.instance === start.instance) return;
      throw startFailed(`instance ${before.instance} runs (process ${before.pid})`);
    }
    // What is left of a dead machine has told all it knows to the console and the journal.
    await this.stop(signal);
    await this.setUp(signal);
    await this.#marks.clear();
    await this.setPriority(start.priority ?? "background");
    const { name, names, memoryBytes, cpus, accelerator, identity, user, cores = [] } = this.#options;
    const { watchdogMs, devices, cans, lines } = this.#options;
    const { instance, kernelArguments } = start;
    const machine = { name, names, memoryBytes, cpus, accelerator, identity, instance, kernelArguments };
    const watchdogSeconds = watchdogMs === undefined ? undefined : Math.floor(watchdogMs / 1000);
    const console = await this.#console.begin();
    try {
      const { exit } = await launch({
        machine: { ...machine, watchdogSeconds, devices, cans, lines },
        images: start.images,
        directory: this.#directory,
        user,
        cores,
        groupPath: this.#cpuGroup?.path,
        console,
        stderrPath: this.#stderrPath,
      });
      await this.#started(start, exit, signal);
    } finally {
      await console.close();
    }
  }

  async ready(signal: AbortSignal): Promise<{ readonly version: string }> {
    return await (await this.#session(signal)).ready(signal);
  }

  async pause(signal: AbortSignal): Promise<void> {
    const machine = await this.#running(signal);
    if (await this.#marks.isDormant(machine)) return;
    const session = await this.#watch.session(machine, signal);
    this.#seat.clear();
    this.#watch.rest();
    try {
      await session.pause(signal);
    } catch (error) {
      this.#watch.wake();
      throw error;
    }
    await this.#marks.setDormant(machine);
    await settle(machine.pid, this.mgmtHost, signal);
  }

  async resume(signal: AbortSignal): Promise<void> {
    try {
      const machine = await this.#running(signal);
      // Before it wakes: a mark that is missing is found out by asking the machine, one too many is believed.
      await this.#marks.clearDormant();
      const session = await this.#watch.session(machine, signal);
      await session.resume(signal);
      this.#watch.wake();
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
      await endMachineProcess(machine, signal);
    }
    await rm(join(this.#directory, processFile), { force: true });
    await this.#marks.clearDormant();
  }

  async setPriority(priority: "background" | "service"): Promise<void> {
    this.#cpuGroup ??= await makeCpuGroup(this.#groupName);
    await setCpuPriority(this.#cpuGroup, priority);
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
    return Promise.resolve();
  }

  async #machine(): Promise<MachineProcess | undefined> {
    return await findMachineProcess(join(this.#directory, processFile));
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

  /** Waits until the new process answers, or says why it does not. */
  async #started({ instance }: BoardStart, exit: Promise<number | null>, signal: AbortSignal): Promise<void> {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(startTimeoutMs)]);
    let exitCode: number | null | undefined;
    void exit.then((code) => (exitCode = code ?? -1));
    for (;;) {
      const machine = await this.#machine();
      if (machine?.instance === instance) {
        const attached = await this.#watch.session(machine, deadline).catch(() => undefined);
        if (attached !== undefined) return;
      }
      if (exitCode === lockedExitCode) throw startFailed("another process of this board is being started");
      if (exitCode !== undefined) throw startFailed(`exit code ${exitCode}: ${await this.#lastWords()}`);
      if (deadline.aborted) {
        await this.stop(AbortSignal.timeout(startTimeoutMs));
        signal.throwIfAborted();
        throw startFailed(`QEMU did not answer within ${startTimeoutMs} ms: ${await this.#lastWords()}`);
      }
      await sleep(10);
    }
  }

  async #lastWords(): Promise<string> {
    const text = await readFile(this.#stderrPath, "utf8").catch(() => "");
    return text.trim().slice(-1000) || "it said nothing";
  }
}

function startFailed(detail: string): TwinboardError {
  return new TwinboardError("board-start-failed", { detail });
}
