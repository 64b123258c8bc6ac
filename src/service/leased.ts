/**
 * The contract of a leased service: content that is not switched by the network transaction (a serial line, a stream, a device, CAN, a
 * program of the integrator's). It follows the network's holder: before the takeover's commit point it is **leased** for the new board,
 * after it **settled** on whoever holds then. `composed.ts` puts one network switch and any number of these together.
 *
 * Rules for every driver; `test/contract/leased.ts` holds them against each one:
 * - The holder is read from what outlives the daemon (the kernel, a broker, the board's machine), never remembered. At most one board
 *   holds; while it is leased nobody does: what the outside sends then waits, within a bound, and reaches the next holder once and in order.
 * - Every call may be repeated: it makes a thing so.
 * - `lease` and `settle` carry the network's epoch. One that is lower than an epoch seen before fails with `stale-epoch` and changes
 *   nothing: it comes from a daemon that is dead. One that is equal or higher is remembered where it outlives the daemon.
 * - The daemon is never in the data path: with it gone, whoever holds goes on.
 * - Whatever is not there just now (a line that was pulled, a device that is gone) is a *trouble* that `inspect` tells, not an error of
 *   `setUp`, `lease` or `settle`: the service becomes the board's all the same, and works again once the thing is back.
 * - What is not ours on the host is never changed; what is changed is written down first and put back by `tearDown`.
 */
import type { BoardName } from "../board/board.ts";
import type { DrainCounts, DrainOptions } from "./service.ts";

export interface LeasedCondition {
  /** `false`: nothing is set up on this host (a fresh host, or after a reboot). */
  readonly present: boolean;
  /** Whom it reaches; `null` while nobody holds, and while it is leased. */
  readonly holder: BoardName | null;
  /** For whom it is leased. */
  readonly leasedTo: BoardName | null;
  /** The highest epoch it was given; 0: none yet. */
  readonly epoch: number;
  /** What keeps it from working, as a sentence for `status`; `null`: nothing. */
  readonly trouble: string | null;
}

/** As it is on a fresh host, and after a reboot. */
export const notSetUp: LeasedCondition = {
  present: false,
  holder: null,
  leasedTo: null,
  epoch: 0,
  trouble: null,
};

export interface LeasedDrain extends DrainCounts {
  /** What went otherwise than usual, as sentences for the report. */
  readonly remarks: readonly string[];
}

export interface LeasedService {
  /** Of the configuration's `services`; unique in a system. */
  readonly name: string;

  /** Makes what it needs on the host; changes no holder. Errors: `missing-program`, `need-root`, and those of the driver. */
  setUp(signal: AbortSignal): Promise<void>;
  /** The board is about to boot, or was found running: gives it its end of the service. Changes no holder. */
  attach(board: BoardName, signal: AbortSignal): Promise<void>;
  /** Costs a dormant board no processor time. */
  inspect(): Promise<LeasedCondition>;
  /**
   * From here on none reaches the outside, and what the old holder sent before is still delivered. What comes from outside waits for the
   * next holder; where it cannot wait (a bus) both boards hear it. Errors: `stale-epoch`, `takeover-failed` (nothing has changed).
   */
  lease(to: BoardName, epoch: number, signal: AbortSignal): Promise<void>;
  /**
   * `board` holds from here on, and what waited reaches it first; `null`: nobody does, and what waits goes on waiting. With or without a
   * lease before it. Errors: `stale-epoch`, `takeover-failed` (it is still leased, or as it was).
   */
  settle(board: BoardName | null, epoch: number, signal: AbortSignal): Promise<void>;
  /**
   * Lets a board that does not hold finish what it began; most have nothing to finish and say so at once. What ended before a repeated call
   * is not counted again. Does not fence.
   */
  drain(
    board: BoardName,
    options: Omit<DrainOptions, "onProgress">,
    signal: AbortSignal,
  ): Promise<LeasedDrain>;
  /** From here on the board neither hears nor sends anything of the service. Never the holder's: `internal`. */
  fence(board: BoardName): Promise<void>;
  /** Removes all that `setUp` and `attach` made; the host is as it was found. */
  tearDown(signal: AbortSignal): Promise<void>;
}
