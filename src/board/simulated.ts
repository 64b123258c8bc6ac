/** A board in memory, for tests of the story. The `SimulatedWorld` outlives the daemon; each daemon makes its own `SimulatedBoard` over it. */
import { type ErrorCode, TwinboardError } from "../errors.ts";
import { coreListText } from "../system/core-list.ts";
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
} from "./board.ts";
import type { BoardKind } from "./kind.ts";
import type { RunningBoard, SimulatedWorld } from "./simulated-world.ts";
import { requireKind } from "./software.ts";

export class SimulatedBoard implements Board {
  readonly name: BoardName;
  readonly mgmtHost: string;
  readonly kind: BoardKind;
  readonly #world: SimulatedWorld;
  readonly #mine = new Set<(event: BoardEvent) => void>();

  constructor(name: BoardName, world: SimulatedWorld, kind: BoardKind = "qemu") {
    this.kind = kind;
    this.name = name;
    this.mgmtHost = `fe80::${name}%simulated`;
    this.#world = world;
  }

  async setUp(signal: AbortSignal): Promise<void> {
    await this.#meet("setUp", signal);
    this.#world.makeCards(this.name, this.kind);
  }

  /** As the drivers' own, it takes away whatever has the name of one of its cards. */
  async tearDown(signal: AbortSignal): Promise<void> {
    await this.stop(signal);
    this.#world.cards.delete(this.name);
  }

  inspect(): Promise<BoardCondition> {
    return Promise.resolve(this.#mineIfAny()?.condition ?? { state: "off" });
  }

  usage(): Promise<BoardUsage | undefined> {
    const board = this.#mineIfAny();
    return Promise.resolve(
      board === undefined ? undefined : { cpuNs: board.cpuNs, residentBytes: 1_000_000 },
    );
  }

  async start(start: BoardStart, signal: AbortSignal): Promise<void> {
    await this.#meet("start", signal);
    requireKind(start, this);
    const running = this.#mineIfAny();
    if (running !== undefined && running.condition.state !== "dead") {
      if (running.condition.instance === start.instance) return;
      throw new TwinboardError("board-start-failed", {
        detail: `board ${this.name} already runs instance ${running.condition.instance}`,
      });
    }
    if (running !== undefined) this.#world.end(this.name);
    this.#world.makeCards(this.name, this.kind);
    const fault = this.#world.faults.get(start.version);
    if (fault?.killedAtStart !== undefined && fault.killedAtStart.times > 0) {
      fault.killedAtStart.times -= 1;
      throw new TwinboardError("board-start-killed", { detail: `board ${this.name}: simulated` });
    }
    this.#world.run(this.name, start, this.kind);
    if (fault?.diesAtBoot !== undefined && fault.diesAtBoot.times > 0) {
      fault.diesAtBoot.times -= 1;
      this.#world.die(this.name);
    }
  }

  async ready(signal: AbortSignal): Promise<{ readonly version: string }> {
    await this.#meet("ready", signal);
    const board = this.#alive();
    const reports = this.#world.faults.get(board.start.version)?.reports;
    if (reports === null) await untilAborted(signal);
    const version = reports ?? board.start.version;
    if (board.ready === undefined) this.#world.tell(this.name, { type: "ready", version });
    board.ready = true;
    return { version };
  }

  async pause(signal: AbortSignal): Promise<void> {
    await this.#meet("pause", signal);
    const board = this.#alive();
    this.#world.console(this.name).detach(this.name);
    board.condition = { ...board.condition, state: "dormant" };
  }

  async resume(signal: AbortSignal): Promise<void> {
    await this.#meet("resume", signal);
    const board = this.#alive("board-resume-failed");
    board.condition = { ...board.condition, state: "running" };
    board.cpuNs += 1000;
  }

  async stop(signal: AbortSignal): Promise<void> {
    await this.#meet("stop", signal);
    if (this.#mineIfAny() !== undefined) this.#world.end(this.name);
  }

  async setPriority(priority: "background" | "service"): Promise<void> {
    await this.#meet("setPriority");
    this.#world.priorities.set(this.name, priority);
  }

  async place(placement: BoardPlacement, signal: AbortSignal): Promise<void> {
    await this.#meet("place", signal);
    this.#world.placements.set(this.name, placement);
  }

  confinement(): Promise<BoardConfinement> {
    const { cores, emulator } = this.#world.placements.get(this.name) ?? { cores: null, emulator: null };
    const priority = this.#world.priorities.get(this.name);
    const sharePercent =
      priority === undefined ? null : priority === "service" ? 100 : (this.#world.raised.get(this.name) ?? 0);
    return Promise.resolve({
      cores: listOf(cores),
      emulator: listOf(emulator ?? cores),
      sharePercent,
      memoryKills: this.#mineIfAny() === undefined ? 0 : (this.#world.memoryKills.get(this.name) ?? 0),
      lacks: this.#world.lacks.get(this.name) ?? [],
    });
  }

  async runHook(hook: HookName, signal: AbortSignal): Promise<"done" | "absent"> {
    await this.#meet("runHook", signal);
    const board = this.#alive();
    this.#world.hookRuns.push(`${this.name} ${hook}`);
    if (this.#world.faults.get(board.start.version)?.failingHook === hook) {
      throw new TwinboardError("hook-failed", { detail: `${hook} of board ${this.name}: simulated` });
    }
    return this.#world.presentHooks.has(hook) ? "done" : "absent";
  }

  plugged(): Promise<readonly string[]> {
    return Promise.resolve([...(this.#mineIfAny()?.devices ?? [])]);
  }

  async plug({ id }: BoardDevice, signal: AbortSignal): Promise<void> {
    await this.#meet("plug", signal);
    this.#awake().devices.add(id);
  }

  async unplug(id: string, signal: AbortSignal): Promise<void> {
    if (this.#mineIfAny() === undefined) return;
    await this.#meet("unplug", signal);
    this.#awake().devices.delete(id);
  }

  subscribe(listener: (event: BoardEvent) => void): () => void {
    const listeners = this.#world.listeners(this.name);
    listeners.add(listener);
    this.#mine.add(listener);
    return () => {
      listeners.delete(listener);
      this.#mine.delete(listener);
    };
  }

  consoleTail(lines: number): Promise<string[]> {
    return Promise.resolve(this.#world.console(this.name).tail(lines));
  }

  followConsole(lines: number, signal: AbortSignal): AsyncIterable<string> {
    return this.#world.console(this.name).follow(lines, signal);
  }

  async attachConsole(signal: AbortSignal): Promise<BoardConsole> {
    const { state } = await this.inspect();
    if (state !== "running")
      throw new TwinboardError("board-not-running", { detail: `board ${this.name} is ${state}` });
    return this.#world.console(this.name).attach(this.name, signal);
  }

  release(): Promise<void> {
    this.#world.console(this.name).detach(this.name);
    for (const listener of this.#mine) this.#world.listeners(this.name).delete(listener);
    return Promise.resolve();
  }

  /** Another kind's is none of this driver's. */
  #mineIfAny(): RunningBoard | undefined {
    const board = this.#world.get(this.name);
    return board?.kind === this.kind ? board : undefined;
  }

  #alive(code: ErrorCode = "board-died"): RunningBoard {
    const board = this.#mineIfAny();
    if (board === undefined || board.condition.state === "dead") {
      throw new TwinboardError(code, {
        detail: `board ${this.name}: ${board?.condition.reason ?? "off"}`,
      });
    }
    return board;
  }

  #awake(): RunningBoard {
    const board = this.#mineIfAny();
    if (board?.condition.state === "running") return board;
    const detail = `board ${this.name} is ${board?.condition.state ?? "off"}`;
    throw new TwinboardError("board-not-running", { detail });
  }

  async #meet(call: string, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const key = `${this.name}.${call}`;
    if (this.#world.hanging.has(key) && signal !== undefined) await untilAborted(signal);
    if (this.#world.failing.has(key)) {
      throw new TwinboardError(call === "resume" ? "board-resume-failed" : "command-failed", {
        detail: `${key}: simulated`,
      });
    }
  }
}

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason as Error);
    else signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
}

function listOf(cores: readonly number[] | null): string | null {
  return cores === null ? null : coreListText(cores);
}
