/** A board that is a QEMU machine. */
import { chmod, chown, mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { TwinboardError } from "../../errors.ts";
import { type CpuGroup, makeCpuGroup, removeCpuGroup, setCpuPriority } from "../../system/cgroup.ts";
import { readFileIfThere, writeFileAtomically } from "../../system/files.ts";
import type { SystemNames } from "../../system/names.ts";
import { createTap, deleteTap } from "../../system/tap.ts";
import type {
  Board,
  BoardCondition,
  BoardEvent,
  BoardName,
  BoardStart,
  BoardUsage,
  HookName,
} from "../board.ts";
import type { Accelerator, BoardIdentity } from "./command-line.ts";
import { ConsoleLog } from "./console.ts";
import { launch, lockedExitCode, neededPrograms, processFile } from "./launch.ts";
import {
  endMachineProcess,
  findMachineProcess,
  isAlive,
  type MachineProcess,
  machineUsage,
} from "./machine-process.ts";
import { requirePrograms } from "./programs.ts";
import { type Death, Session } from "./session.ts";

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
}

/** Files in the board's directory besides those of `launch`. */
const dormantFile = "dormant";
const deathFile = "death";

/** How often a board that this daemon is not connected to is looked at, and its console trimmed. Reads /proc alone. */
const watchIntervalMs = 2000;
const startTimeoutMs = 15_000;

export class QemuBoard implements Board {
  readonly name: BoardName;
  readonly mgmtHost: string;
  readonly #options: QemuBoardOptions;
  readonly #directory: string;
  readonly #groupName: string;
  readonly #console: ConsoleLog;
  readonly #stderrPath: string;
  readonly #listeners = new Set<(event: BoardEvent) => void>();
  #session: Session | undefined;
  #attaching: Promise<Session> | undefined;
  #watch: NodeJS.Timeout | undefined;
  /** The process that was there when somebody last looked, so that its end is noticed. */
  #known: MachineProcess | undefined;
  #cpuGroup: CpuGroup | undefined;

  constructor(options: QemuBoardOptions) {
    const { name, names, stateDirectory } = options;
    this.#options = options;
    this.name = name;
    this.mgmtHost = `${names.linkLocal(name, "mgmt")}%${names.card(name, "mgmt")}`;
    this.#directory = join(names.runDirectory, `board-${name}`);
    this.#groupName = `twinboard-${names.system}-${name}`;
    this.#console = new ConsoleLog(join(stateDirectory, `board-${name}.console`));
    this.#stderrPath = join(stateDirectory, `board-${name}.qemu`);
  }

  /** By what means `setPriority` works on this host, once the board was set up. */
  get priority(): CpuGroup | undefined {
    return this.#cpuGroup;
  }

  async setUp(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await requirePrograms(neededPrograms);
    const { name, names, user, stateDirectory } = this.#options;
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    await chmod(this.#directory, 0o700);
    await chown(this.#directory, user.uid, user.gid);
    await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
    const ownerUid = user.uid;
    const neighbour = { address: names.linkLocal(name, "mgmt"), mac: names.mac(name, "mgmt") };
    await createTap({ name: names.card(name, "mgmt"), ownerUid, ipv6: "link-local", neighbour }, signal);
    await createTap({ name: names.card(name, "service"), ownerUid, ipv6: "off" }, signal);
    this.#cpuGroup = await makeCpuGroup(this.#groupName);
    this.#watchOn();
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
    if (await this.#isMarkedDormant(machine)) return { state: "dormant", ...machine };
    const death = await this.#recordedDeath(machine);
    if (death !== undefined) return { state: "dead", ...machine, reason: death.detail };
    // A QEMU that cannot be asked is, as far as the kernel tells, a process that runs.
    const status = await this.#attach(machine).then(
      (session) => session.runState(),
      () => ({ state: "running" as const }),
    );
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
    await rm(join(this.#directory, deathFile), { force: true });
    await this.setPriority("background");
    const { name, names, memoryBytes, cpus, accelerator, identity, user, cores = [] } = this.#options;
    const { instance, kernelArguments } = start;
    const console = await this.#console.begin();
    try {
      const { exit } = await launch({
        machine: { name, names, memoryBytes, cpus, accelerator, identity, instance, kernelArguments },
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
    return await (await this.#attach(await this.#running(signal), signal)).ready(signal);
  }

  async pause(signal: AbortSignal): Promise<void> {
    const machine = await this.#running(signal);
    if (await this.#isMarkedDormant(machine)) return;
    await (await this.#attach(machine, signal)).pause(signal);
    await writeFileAtomically(join(this.#directory, dormantFile), machine.instance);
  }

  async resume(signal: AbortSignal): Promise<void> {
    try {
      const machine = await this.#running(signal);
      await rm(join(this.#directory, dormantFile), { force: true });
      await (await this.#attach(machine, signal)).resume(signal);
    } catch (cause) {
      signal.throwIfAborted();
      throw new TwinboardError("board-resume-failed", { detail: (cause as Error).message, cause });
    }
  }

  async stop(signal: AbortSignal): Promise<void> {
    const machine = await this.#machine();
    // From here on its end is no death.
    this.#known = undefined;
    this.#session?.release();
    this.#session = undefined;
    if (machine !== undefined) await endMachineProcess(machine, signal);
    for (const file of [processFile, dormantFile]) await rm(join(this.#directory, file), { force: true });
  }

  async setPriority(priority: "background" | "service"): Promise<void> {
    this.#cpuGroup ??= await makeCpuGroup(this.#groupName);
    await setCpuPriority(this.#cpuGroup, priority);
  }

  async runHook(hook: HookName, signal: AbortSignal): Promise<"done" | "absent"> {
    return await (await this.#attach(await this.#running(signal), signal)).runHook(hook, signal);
  }

  subscribe(listener: (event: BoardEvent) => void): () => void {
    this.#listeners.add(listener);
    this.#watchOn();
    return () => this.#listeners.delete(listener);
  }

  async consoleTail(lines: number): Promise<string[]> {
    return await this.#console.tail(lines);
  }

  release(): Promise<void> {
    clearInterval(this.#watch);
    this.#watch = undefined;
    this.#known = undefined;
    this.#session?.release();
    this.#session = undefined;
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

  async #isMarkedDormant({ instance }: MachineProcess): Promise<boolean> {
    return (await readFileIfThere(join(this.#directory, dormantFile))) === instance;
  }

  async #recordedDeath({ instance }: MachineProcess): Promise<Death | undefined> {
    const text = await readFileIfThere(join(this.#directory, deathFile));
    const death = text === undefined ? undefined : (JSON.parse(text) as Death & { instance: string });
    return death?.instance === instance ? death : undefined;
  }

  /** Waits until the new process answers, or says why it does not. */
  async #started({ instance }: BoardStart, exit: Promise<number | null>, signal: AbortSignal): Promise<void> {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(startTimeoutMs)]);
    let exitCode: number | null | undefined;
    void exit.then((code) => (exitCode = code ?? -1));
    for (;;) {
      const machine = await this.#machine();
      if (machine?.instance === instance) {
        const attached = await this.#attach(machine, deadline).catch(() => undefined);
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

  /** The one connection to the machine, made when it is first needed. Errors: `board-died`, `deadline-passed`. */
  async #attach(machine: MachineProcess, signal?: AbortSignal): Promise<Session> {
    if (this.#session?.instance === machine.instance) return this.#session;
    this.#attaching ??= Session.connect({
      directory: this.#directory,
      instance: machine.instance,
      ...(signal === undefined ? {} : { signal }),
      onEvent: (event) => this.#tell(event),
      onDeath: (death) => void this.#died(machine, death),
      onEnd: (session) => void this.#ended(machine, session),
    })
      .then((session) => {
        this.#known = machine;
        return (this.#session = session);
      })
      .finally(() => (this.#attaching = undefined));
    return await this.#attaching;
  }

  #tell(event: BoardEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  /** Writes down what the machine died of before anybody is told, so that whoever inspects then finds it. */
  async #died(machine: MachineProcess, death: Death): Promise<void> {
    // An earlier daemon heard the cause itself; a later one can only ask for the state that it left.
    const known = await this.#recordedDeath(machine);
    const { cause, detail } = known ?? death;
    const record = JSON.stringify({ instance: machine.instance, cause, detail });
    if (known === undefined)
      await writeFileAtomically(join(this.#directory, deathFile), record).catch(() => undefined);
    this.#tell({ type: "died", cause, detail });
  }

  /** QEMU's sockets were closed from its side: either its process has ended, or it will be connected to again. */
  async #ended(machine: MachineProcess, session: Session): Promise<void> {
    if (this.#session === session) this.#session = undefined;
    if (this.#known?.instance !== machine.instance) return;
    // The sockets close a moment before the process is gone from /proc.
    const deadline = performance.now() + 1000;
    while ((await isAlive(machine)) && performance.now() < deadline) await sleep(5);
    await this.#look();
  }

  #watchOn(): void {
    if (this.#watch !== undefined) return;
    this.#watch = setInterval(() => void this.#look(), watchIntervalMs);
    this.#watch.unref();
    void this.#look();
  }

  /** Notices a machine's end, connects to one that runs, and keeps the console within its bound. */
  async #look(): Promise<void> {
    const known = this.#known;
    const machine = await this.#machine();
    if (known !== undefined && known === this.#known && machine?.instance !== known.instance) {
      this.#known = undefined;
      this.#tell({ type: "died", cause: "exit", detail: `QEMU ended: ${await this.#lastWords()}` });
      return;
    }
    if (machine === undefined) return;
    await this.#console.trim().catch(() => undefined);
    if (this.#watch === undefined) return;
    this.#known = machine;
    if (this.#session === undefined && !(await this.#isMarkedDormant(machine)))
      await this.#attach(machine).catch(() => undefined);
  }
}

function startFailed(detail: string): TwinboardError {
  return new TwinboardError("board-start-failed", { detail });
}
