/**
 * The contract of the service: what the outside reaches through a board. One `Service` stands for all services of a system,
 * because a takeover moves all of them as one step.
 *
 * Rules for every driver; `test/contract/service.ts` holds them against each one:
 * - The holder is read from the kernel, never remembered. There is exactly one, or none; never two.
 * - Every call may be repeated: it makes a thing so.
 * - Only one transaction changes the holder, and it carries the **epoch**: it deletes epoch N and adds N+1, so that a transaction of a
 *   daemon that is dead, arriving late, fails whole (`stale-epoch`). Transactions change elements, never rules.
 * - The daemon is never in the data path: with it gone the holder serves on, and a drain goes on without its deadline.
 * - What is not ours on the host is never changed; what is changed is written down first and put back by `tearDown`.
 */
import type { BoardName } from "../board/board.ts";

/** What keeps one service of a system from working, while the others may do. */
export interface Trouble {
  /** Its name in the configuration. */
  readonly service: string;
  /** As a sentence. */
  readonly what: string;
  /** It has lost the holder, and `mend` may give it back; without it the thing itself is not there, or does not work. */
  readonly mendable: boolean;
}

export interface ServiceCondition {
  /** `false`: nothing is set up on this host (a fresh host, or after a reboot). */
  readonly present: boolean;
  /** The board that new work reaches. */
  readonly holder: BoardName | null;
  /** The board that may only finish what it began. */
  readonly draining: BoardName | null;
  readonly epoch: number;
}

/** What became of a board's flows in a drain (for a serial line: of the bytes held). */
export interface DrainCounts {
  /** Still on the old board. */
  readonly left: number;
  /** Ended by themselves. */
  readonly finished: number;
  /** Closed by us between two requests: both ends were told, and no answer was lost. */
  readonly closedEarly: number;
  /** Reset on both ends at the deadline, whatever they were doing. */
  readonly cut: number;
}

/** How far a drain is: the sums, and the same by service name. */
export interface DrainProgress extends DrainCounts {
  readonly services: Readonly<Record<string, DrainCounts>>;
}

export interface DrainOptions {
  /** Epoch time in milliseconds from which deadlines are counted. */
  readonly sinceMs: number;
  /** The deadline is now: the board is dead or failed. */
  readonly atOnce?: boolean;
  readonly onProgress?: (progress: DrainProgress) => void;
}

export interface DrainResult extends DrainProgress {
  readonly ms: number;
  /** What went otherwise than usual, as sentences for the report: ends that never answered, a flow table that is full. */
  readonly remarks: readonly string[];
}

export interface Service {
  /**
   * Boards have cards for themselves, past the host: no rule of it keeps one from serving. Then only a board's own silence does, and the old
   * one must be silent before a hand-over.
   */
  readonly pastHost: boolean;
  /**
   * Makes rules, addresses and settings; every board is fenced before its card's link can come up. On a host where they already are
   * it changes neither holder nor draining nor flows. Errors: `missing-card`, `missing-program`, `need-root`, `address-in-use`.
   */
  setUp(signal: AbortSignal): Promise<void>;
  /** The board's service card exists now: gives it its host side. Before each boot. */
  attach(board: BoardName, signal: AbortSignal): Promise<void>;
  inspect(): Promise<ServiceCondition>;
  /**
   * Makes every transaction fail that was prepared before this call; recovery does it before it inspects.
   * @param above the new epoch is higher than this one too: what is leased may remember it, when the rules were made anew.
   * @returns the new epoch; 0 if nothing is set up.
   */
  raiseEpoch(above?: number): Promise<number>;

  /**
   * Makes sure that `to` can take the service over now (leases what must be leased). Changes nothing for the outside. It may go by an
   * `inspect` of the last second: if somebody else has raised the epoch since, the hand-over fails.
   * Errors: `board-unlinked` (the outside cannot be reached through its wire), unless it holds already.
   * @param options `partly`: nobody serves, or this is the way back: a board whose wire is cut may hold too.
   */
  prepare(to: BoardName, signal: AbortSignal, options?: { readonly partly?: boolean }): Promise<void>;
  /**
   * The takeover's commit point: one transaction after which new work reaches `to`. A previous holder is draining from then on. What is not
   * moved by that transaction is leased before it and settled after it, also if `to` holds already: then only that is made so.
   * Errors: `takeover-failed`, `stale-epoch`: `inspect` tells whether the holder has changed; if it has not, nothing has.
   * @param options `partly`: nobody serves, or this is the way back: what cannot follow stays behind as a trouble, and is no error.
   * @returns how long the transaction took as the daemon sees it.
   */
  handOver(
    to: BoardName,
    signal: AbortSignal,
    options?: { readonly partly?: boolean },
  ): Promise<{ readonly ms: number }>;
  /** Gives back what `prepare` leased, after a takeover that did not happen. */
  release(signal: AbortSignal): Promise<void>;
  /**
   * Lets `board` finish what it began: flows that are between two requests are closed, each service's others wait until its own deadline,
   * then what is left is reset on both ends. Does not fence. What ended before a repeated call is not counted again.
   */
  drain(board: BoardName, options: DrainOptions, signal: AbortSignal): Promise<DrainResult>;
  /** Shuts the fence: from here on the board neither hears nor sends anything of the service. Never the holder's. */
  fence(board: BoardName): Promise<void>;
  /** Services that do not work, or not for the holder, whatever the reason. Asks each; costs a dormant board nothing. */
  troubles(): Promise<readonly Trouble[]>;
  /** Gives services that lost the holder (what carries them was killed, or came back) to it again. Changes no holder. Not in the middle of a takeover. */
  mend(signal: AbortSignal): Promise<void>;
  /**
   * Why the outside cannot be reached through a board's own wire, as a sentence; `null` if it can, if nobody knows, and where both boards
   * share one wire. What lasts only for some milliseconds is told by neither this nor `watchWire`.
   */
  wireObstacle(board: BoardName): Promise<string | null>;
  /**
   * Tells each change of `wireObstacle`, and an obstacle that there is already as soon as it is known. Returns what ends that.
   */
  watchWire(board: BoardName, onChange: (obstacle: string | null) => void): () => void;
  /** Removes rules, addresses and settings; the host is as it was found. */
  tearDown(signal: AbortSignal): Promise<void>;
}
