/**
 * A guaranteed minimum for a board in the background. The idle class gets some three thousandths of a core that somebody else saturates,
 * and a boot would never end: whoever waits for the core most of the time is given a larger share, in steps, and never more than an equal
 * one. Where the core is not saturated nobody waits, and nothing is raised.
 */

/** Processor time and time spent waiting for a core, in nanoseconds, of all threads since they began (kernel documentation, sched-stats). */
export interface Schedule {
  readonly runNs: number;
  readonly waitNs: number;
  /** When it was read, in milliseconds of any clock. */
  readonly atMs: number;
}

/** Percent of a full share. */
const steps = [10, 33, 100] as const;

/** How much longer than they run the threads of a board may wait. With an equal share against one other it is as long. */
const mostWaiting = 1.5;
/** Of the time between two looks: a board that waited for less had little to do. */
const leastWaiting = 0.25;

export class LeastShare {
  readonly #threads: number;
  #last: Schedule | undefined;

  /** @param threads how many of the board's own threads want to run at once, and wait for each other on a single core. */
  constructor(threads: number) {
    this.#threads = threads;
  }

  /** What is to be given to a board that has `percent` now: the next step if it went without since the last look, else `undefined`. */
  look(now: Schedule, percent: number): number | undefined {
    const last = this.#last;
    this.#last = now;
    if (last === undefined) return undefined;
    const runNs = Math.max(0, now.runNs - last.runNs);
    const waitNs = now.waitNs - last.waitNs;
    const passedNs = (now.atMs - last.atMs) * 1e6;
    const starves = waitNs > leastWaiting * passedNs && waitNs > mostWaiting * this.#threads * runNs;
    return starves ? steps.find((step) => step > percent) : undefined;
  }

  /** Another start, another board: what was seen counts no more. */
  forget(): void {
    this.#last = undefined;
  }
}
