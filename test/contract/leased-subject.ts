/** What a test of the contract of a leased service is given, whatever the driver. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { type BoardName, boardNames } from "../../src/board/board.ts";
import type { ErrorCode } from "../../src/errors.ts";
import type { LeasedCondition, LeasedService } from "../../src/service/leased.ts";

export interface LeasedSubject extends AsyncDisposable {
  readonly service: LeasedService;
  /** The daemon was killed; another one, on the same host. */
  readonly restart: () => Promise<LeasedService>;
  /** What the outside says to the holder; left out where the content says nothing to a board. */
  readonly inward?: Inward;
  /** What the holder says to the outside; left out where a board says nothing. */
  readonly outward?: Outward;
  /** What the service is about, a line or a device; left out where it cannot go away. */
  readonly thing?: Thing;
}

/** A line is letters and digits, without its end. */
export interface Inward {
  /**
   * What becomes of what is said while it is leased. *waits*: the next holder hears it, as he does what is said while nobody holds.
   * *heard*: by both boards at once, of content that many may hear. *lost*: by nobody.
   */
  readonly duringLease: "waits" | "heard" | "lost";
  /** The outside says a line; resolves when it has left the outside. */
  readonly say: (line: string) => Promise<void>;
  /** All lines that a board has heard so far, in order. */
  readonly heard: (board: BoardName) => Promise<readonly string[]>;
}

export interface Outward {
  /** A board says a line, whether it holds or not; resolves when it has left the board. */
  readonly say: (board: BoardName, line: string) => Promise<void>;
  /** All lines that the outside has heard so far, in order. */
  readonly heard: () => Promise<readonly string[]>;
}

export interface Thing {
  readonly takeAway: () => Promise<void>;
  readonly bringBack: () => Promise<void>;
}

/** A test of a service of its own. */
export type OnLeased = (
  name: string,
  body: (subject: LeasedSubject, signal: AbortSignal) => Promise<void>,
) => void;

export const nobody: LeasedCondition = {
  present: true,
  holder: null,
  leasedTo: null,
  epoch: 0,
  trouble: null,
};

export function held(holder: BoardName, epoch: number): LeasedCondition {
  return { ...nobody, holder, epoch };
}

export function leased(leasedTo: BoardName, epoch: number): LeasedCondition {
  return { ...nobody, leasedTo, epoch };
}

/** As the story does it: all of it is made, then each board gets its end. */
export async function setUp({ service }: Pick<LeasedSubject, "service">, signal: AbortSignal): Promise<void> {
  await service.setUp(signal);
  for (const board of boardNames) await service.attach(board, signal);
}

/** Asks again until it is so. Errors: names what was awaited. */
export async function until(
  isSo: () => Promise<boolean>,
  awaited: string,
  signal: AbortSignal,
): Promise<void> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(untilMs)]);
  while (!(await isSo()))
    await sleep(10, undefined, { signal: deadline }).catch(() => assert.fail(`${awaited} did not come`));
}
const untilMs = 15_000;

export async function rejectsWith(code: ErrorCode, work: Promise<unknown>): Promise<void> {
  await assert.rejects(work, (error: Error & { code?: string }) => {
    assert.equal(error.code, code, error.message);
    return true;
  });
}
