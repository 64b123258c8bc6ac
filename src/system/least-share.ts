/**
 * A guaranteed minimum for a board in the background. The idle class gets some three thousandths of a core that somebody else saturates,
 * and a boot would never end: whoever waits for the core most of the time is given a larger share, in two steps. Where the core is not
 * saturated nobody waits, and nothing is raised.
 */

/** What a board did in a stretch of time: processor time and time spent waiting for a core, in nanoseconds, of all its threads together. */
export interface Stretch {
  readonly runNs: number;
  readonly waitNs: number;
  readonly passedNs: number;
}

/**
 * Percent of a full share: a quarter of the core beside one other board, then five ninths of it. A boot is mostly work: with no more than
 * half of the core it would take twice its time, and the time until it was raised comes on top.
 */
const steps = [33, 125] as const;

/** How much longer than they run the threads of a board may wait. With an equal share against one other it is as long. */
const mostWaiting = 1.5;
/** Of the stretch: a board that waited for less had little to do. */
const leastWaiting = 0.25;
/** Two looks may come close after each other, and what is between them says nothing. */
const shortestNs = 20e6;

/**
 * What is to be given to a board that had `percent` in that stretch: the next step if it went without, else `undefined`.
 * @param rivals how many of the board's own threads want to run at once, and wait for each other on a single core.
 */
export function nextShare(
  { runNs, waitNs, passedNs }: Stretch,
  percent: number,
  rivals: number,
): number | undefined {
  if (passedNs < shortestNs) return undefined;
  const starves = waitNs > leastWaiting * passedNs && waitNs > mostWaiting * rivals * runNs;
  return starves ? steps.find((step) => step > percent) : undefined;
}
