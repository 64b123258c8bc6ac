/** What lives outside the daemon where boards are simulated: it outlives the daemon, and each daemon makes its own boards over it. */
import type { BoardCondition, BoardEvent, BoardName, BoardPlacement, BoardStart, HookName } from "./board.ts";
import type { BoardKind } from "./kind.ts";
import { SimulatedConsole } from "./simulated-console.ts";

/** What a version of the software does wrong. */
export interface SoftwareFault {
  /** The version that it reports; `null`: it is never ready. */
  readonly reports?: string | null;
  /** It dies instead of getting ready; `times`: only so often. */
  readonly diesAtBoot?: { times: number };
  /** What starts it is killed; `times`: so often. */
  readonly killedAtStart?: { times: number };
  /** Its hook of this name fails. */
  readonly failingHook?: HookName;
}

export interface RunningBoard {
  readonly start: BoardStart;
  readonly kind: BoardKind;
  /** Whether it has said so already: it is asked as often as somebody wants to know, and tells once. */
  ready?: true;
  /** What it was given and has not let go of. */
  readonly devices: Set<string>;
  condition: Exclude<BoardCondition, { state: "off" }>;
  cpuNs: number;
}

/** What lives outside the daemon: the boards' processes, and the software's behaviour. */
export class SimulatedWorld {
  readonly faults = new Map<string, SoftwareFault>();
  /** Calls that do nothing until they are aborted: `a.resume`. */
  readonly hanging = new Set<string>();
  /** Calls that fail: `a.resume`. */
  readonly failing = new Set<string>();
  /** Hooks that every board has; one that is not here is absent. */
  readonly presentHooks = new Set<HookName>();
  /** Every start of a process, as `board instance`: none may stand here twice. */
  readonly started: string[] = [];
  /** Every hook that was run, as `board hook`. */
  readonly hookRuns: string[] = [];
  /** What must never be, noticed when it was: a second board of another kind beside the first, or one without cards of its kind. */
  readonly violations: string[] = [];
  /** Of which kind each board's cards are on the host; none: it has none. */
  readonly cards = new Map<BoardName, BoardKind>();
  /** Told of cards that are made, or made anew, and so are joined to nothing; and asked whether those of a board that starts are. */
  cardsMade: (name: BoardName) => void = () => undefined;
  cardsJoined: (name: BoardName) => boolean = () => true;
  readonly placements = new Map<BoardName, BoardPlacement>();
  /** What the host does not do for a board, as sentences. */
  readonly lacks = new Map<BoardName, readonly string[]>();
  /** Percent of a full share that a board in the background was raised to. */
  readonly raised = new Map<BoardName, number>();
  /** How many processes of a board the kernel has killed for want of memory. */
  readonly memoryKills = new Map<BoardName, number>();
  readonly priorities = new Map<BoardName, "background" | "service">();
  readonly #running = new Map<BoardName, RunningBoard>();
  readonly #consoles = { a: new SimulatedConsole(), b: new SimulatedConsole() };
  readonly #listeners = new Map<BoardName, Set<(event: BoardEvent) => void>>();
  #nextPid = 100;

  get(name: BoardName): RunningBoard | undefined {
    return this.#running.get(name);
  }

  listeners(name: BoardName): Set<(event: BoardEvent) => void> {
    let found = this.#listeners.get(name);
    if (found === undefined) {
      found = new Set();
      this.#listeners.set(name, found);
    }
    return found;
  }

  console(name: BoardName): SimulatedConsole {
    return this.#consoles[name];
  }

  makeCards(name: BoardName, kind: BoardKind): void {
    if (this.cards.get(name) === kind) return;
    if (this.#running.has(name)) this.violations.push(`board ${name} runs, and lost its cards`);
    this.cards.set(name, kind);
    this.cardsMade(name);
  }

  run(name: BoardName, start: BoardStart, kind: BoardKind = "qemu"): void {
    if (this.#running.has(name)) this.violations.push(`board ${name} runs already`);
    if (!this.cardsJoined(name))
      this.violations.push(`board ${name} is started with cards that lead nowhere`);
    this.#nextPid += 1;
    const console = this.#consoles[name];
    console.begin();
    console.say(`${start.version} boots`);
    this.started.push(`${name} ${start.instance}`);
    this.#running.set(name, {
      start,
      kind,
      devices: new Set(),
      condition: {
        state: "running",
        instance: start.instance,
        pid: this.#nextPid,
        startTicks: this.#nextPid,
      },
      cpuNs: 1_000_000,
    });
  }

  end(name: BoardName): void {
    this.#running.delete(name);
    this.#consoles[name].detach(name);
  }

  tell(name: BoardName, event: BoardEvent): void {
    for (const listener of this.listeners(name)) listener(event);
  }

  /** The board's process is killed: nothing is left but the console. */
  kill(name: BoardName): void {
    this.#consoles[name].detach(name);
    if (this.#running.delete(name)) this.tell(name, { type: "died", cause: "exit", detail: "simulated" });
  }

  /** The board crashes: it is kept for its evidence. */
  die(name: BoardName, cause: "panic" | "shutdown" | "reset" = "panic"): void {
    const board = this.#running.get(name);
    if (board === undefined || board.condition.state === "dead") return;
    this.#consoles[name].say(`kernel ${cause}`);
    this.#consoles[name].detach(name);
    board.condition = { ...board.condition, state: "dead", reason: cause };
    this.tell(name, { type: "died", cause, detail: "simulated" });
  }

  /** The board is silent for longer than it may be. */
  hang(name: BoardName): void {
    if (this.#running.get(name)?.condition.state === "running")
      this.tell(name, { type: "hung", detail: "simulated" });
  }

  /** The host loses power: nothing runs any more. Consoles are on the disk. */
  reboot(): void {
    this.#running.clear();
    this.cards.clear();
    this.#listeners.clear();
  }
}
