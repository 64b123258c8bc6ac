/** Which of the host's cores the threads of a board's processes run on, read from /proc and set by affinity. */
import { coreListText } from "../system/core-list.ts";
import { onlineCores, ownCores } from "../system/host-cores.ts";
import { placeThreads, type Thread, threadsOf } from "../system/thread-affinity.ts";
import type { BoardPlacement } from "./board.ts";

/** What a driver knows of its board's threads. */
export interface BoardThreads {
  /** Ids of the board's processes at this moment; none if it is off. */
  readonly processes: () => Promise<readonly number[]>;
  /** Which of its threads are virtual processors; left out: it has no other threads, and `emulator` is ignored. */
  readonly isProcessor?: (thread: Pick<Thread, "name">) => boolean;
}

/** In how many rounds a board is looked at for processes that began meanwhile. */
const mostRounds = 4;

export class ThreadPlacement {
  readonly #board: BoardThreads;
  #wanted: BoardPlacement;
  /** Why the threads are not where they should be, if that was tried and refused. */
  #refusal: string | undefined;
  /** Where the threads were put last, as lists. */
  #applied: string | undefined;

  constructor(board: BoardThreads, wanted: BoardPlacement) {
    this.#board = board;
    this.#wanted = wanted;
    this.want(wanted);
  }

  /** For a board that is about to start, whose first thread is none of its virtual processors if it has any. Empty: all. */
  get launchCores(): readonly number[] {
    return this.#cores.emulator ?? this.#cores.cores ?? [];
  }

  /** Of all of its threads together; `null`: all that there are. */
  get all(): readonly number[] | null {
    const { cores, emulator } = this.#cores;
    return cores === null ? null : [...new Set([...cores, ...(emulator ?? [])])];
  }

  /** A board that has no cores of its own has those that the daemon is held on at this moment, in whatever group the board is. */
  get #cores(): BoardPlacement {
    const { cores, emulator } = this.#wanted;
    return { cores: cores ?? ownCores(), emulator };
  }

  want({ cores, emulator }: BoardPlacement): void {
    this.#wanted = { cores, emulator: this.#board.isProcessor === undefined ? null : emulator };
  }

  /** Puts every thread where it belongs, if the board is not off. Repeatable. Errors: `command-failed`; the signal's reason. */
  async apply(signal: AbortSignal): Promise<void> {
    const placement = this.#cores;
    const online = onlineCores();
    const wantedOf = (thread: Thread): readonly number[] => {
      const wanted = this.#wantedOf(thread, placement);
      if (wanted !== null) return wanted;
      // A thread that may use more (cores that are not there yet) is free already.
      return online.every((core) => thread.cores.includes(core)) ? thread.cores : online;
    };
    try {
      // A process that begins meanwhile inherits from the one that begins it, or is found in the next round.
      const placed = new Set<number>();
      for (let round = 0; round < mostRounds; round += 1) {
        const others = (await this.#board.processes()).filter((pid) => !placed.has(pid));
        if (others.length === 0) break;
        for (const pid of others) {
          placed.add(pid);
          await placeThreads(pid, wantedOf, signal);
        }
      }
      this.#refusal = undefined;
      this.#applied = textOf(placement);
    } catch (error) {
      this.#refusal = (error as Error).message;
      throw error;
    }
  }

  /**
   * Puts back what somebody else let run elsewhere, and lets a board that has the daemon's cores have those that are the daemon's now. What
   * cannot be put back is told by `of`. Repeatable, and cheap when nothing is astray.
   */
  async mend(signal: AbortSignal): Promise<void> {
    const placement = this.#cores;
    const isNew = this.#applied !== textOf(placement);
    if (!isNew && placement.cores === null && placement.emulator === null) return;
    if (isNew || (await this.#threads()).some((thread) => this.#isAstray(thread, placement)))
      await this.apply(signal).catch(() => undefined);
  }

  /** What the kernel allows the threads of a board that runs, else what is wanted; and what is not as it should be. */
  async of(): Promise<{
    readonly cores: string | null;
    readonly emulator: string | null;
    readonly lacks: readonly string[];
  }> {
    const threads = await this.#threads();
    const placement = this.#cores;
    const { cores, emulator } = placement;
    const { isProcessor } = this.#board;
    const astray = threads.filter((thread) => this.#isAstray(thread, placement)).map(({ name }) => name);
    const others = this.#wanted.cores === null ? "the daemon" : "configured";
    const why = this.#refusal === undefined ? "" : `: ${this.#refusal}`;
    const who = astray.length === 1 ? "1 thread" : `${astray.length} threads`;
    return {
      cores: coresOf(isProcessor === undefined ? threads : threads.filter(isProcessor), cores),
      emulator: coresOf(
        isProcessor === undefined ? threads : threads.filter((thread) => !isProcessor(thread)),
        emulator ?? cores,
      ),
      lacks: astray.length === 0 ? [] : [`${who} may use other cores than ${others} (${astray[0]})${why}`],
    };
  }

  async #threads(): Promise<Thread[]> {
    return (await this.#board.processes()).flatMap(threadsOf);
  }

  #wantedOf(thread: Thread, { cores, emulator }: BoardPlacement): readonly number[] | null {
    return this.#board.isProcessor?.(thread) === false ? (emulator ?? cores) : cores;
  }

  #isAstray(thread: Thread, placement: BoardPlacement): boolean {
    const wanted = this.#wantedOf(thread, placement);
    return wanted !== null && thread.cores.some((core) => !wanted.includes(core));
  }
}

function textOf({ cores, emulator }: BoardPlacement): string {
  return [cores, emulator].map((list) => (list === null ? "all" : coreListText(list))).join(" ");
}

/** What the kernel allows these threads; without any, what is wanted. */
function coresOf(threads: readonly Thread[], wanted: readonly number[] | null): string | null {
  if (threads.length > 0) return coreListText(threads.flatMap(({ cores }) => cores));
  return wanted === null ? null : coreListText(wanted);
}
