/**
 * A wiring: one way in which boards are joined to the outside. It says which rules there are, what a takeover changes in them, and what
 * the host must be told besides; `NetworkSwitch` does the rest alike for all of them: holder, draining and epoch in the register, and one
 * transaction over the tables of all families.
 *
 * - Everything may be repeated, and is made so.
 * - Rules hold before a card exists: they name cards, and a card that is not there matches nothing.
 * - A takeover's statements change elements, never rules, and take back what an earlier takeover left half done.
 */
import type { BoardName } from "../../board/board.ts";
import type { NftSession } from "../../system/nft.ts";
import type { DrainOptions, DrainResult, Trouble } from "../service.ts";
import type { Standing } from "./register.ts";

export type TableFamily = "inet" | "bridge" | "netdev";

/** Rules of one family, in the table that has the system's name. That of `inet` also has the register, and the host-only cards' fence. */
export interface WiringTable {
  readonly family: TableFamily;
  /** Chains and constant sets. */
  readonly rules: string;
  /** Sets and maps that takeovers change, with what is in them while things stand so. */
  readonly elements: (standing: Standing) => string;
  /** More sets and maps that change, and begin empty. */
  readonly changing?: readonly string[];
  /** Of sets and maps that takeovers change, by name: the text of an element that each has while `holder` holds, whatever else it has. */
  readonly follows?: (holder: BoardName) => Readonly<Record<string, string>>;
}

export interface DrainOrder extends DrainOptions {
  readonly board: BoardName;
  /** The epoch when the drain began; a drain of another time closes and cuts nothing. */
  readonly epoch: number;
}

/** As `Trouble`, of the wiring as a whole. */
export type WiringTrouble = Omit<Trouble, "service">;

export interface Wiring {
  /** As `Service.pastHost`: the host has no end of the boards' service cards. */
  readonly pastHost?: true;
  /** Of the tables that it has, whatever the host. */
  readonly families: readonly TableFamily[];
  /**
   * Refuses a host on which the service could not be provided; changes nothing.
   * Errors: `missing-card`, `missing-program`, `missing-kernel-feature`, `no-ipv6`, `address-in-use`, `config-changed`.
   */
  checkHost(standing: Standing): Promise<void>;
  /** For the host as it is now; the same before and after `open`. */
  tables(): Promise<readonly WiringTable[]>;
  /** Settings and addresses of the host, once the rules stand. */
  open(signal: AbortSignal): Promise<void>;
  /** The host's side of a board's service card, which exists. */
  attach(board: BoardName, signal: AbortSignal, nft: NftSession): Promise<void>;
  /** Before a takeover, when the board is attached: whatever takes time. Changes nothing for the outside. */
  prepare(to: BoardName, standing: Standing, signal: AbortSignal): Promise<void>;
  /** Statements of the takeover, besides the register's. `standing` is what was before it. */
  takeover(standing: Standing, to: BoardName): readonly string[];
  /** The takeover's transaction follows at once: what must have begun by then. Does not wait. If it fails, `announce` follows for who holds. */
  foretell?(to: BoardName): void;
  /** The holder has changed, or a daemon begins with the holder that it found: the outside is told, where it must be. Ends soon. */
  announce(holder: BoardName, nft: NftSession): Promise<void>;
  /** What `prepare` began, and no takeover followed. */
  release(): Promise<void>;
  /** Statements that shut a draining board off, besides the register's. `standing` is what was before it. */
  shut(board: BoardName, standing: Standing): readonly string[];
  /** As `Service.drain`. Errors: `command-failed`, `deadline-passed`; the signal's reason. */
  drain(order: DrainOrder, nft: NftSession, signal: AbortSignal): Promise<DrainResult>;
  /** What keeps the outside from the boards although the rules stand; changes nothing, and takes no board's time. */
  troubles(standing: Standing, nft: NftSession): Promise<readonly WiringTrouble[]>;
  /** Makes what `attach` made again where somebody took it away, as far as it can be; changes no holder. */
  mend(signal: AbortSignal): Promise<void>;
  /** As `Service.wireObstacle`: a link that is down. Most wirings have one wire for both boards, and tell nothing. */
  wireObstacle(board: BoardName): Promise<string | null>;
  /** As `Service.watchWire`. */
  watchWire(board: BoardName, onChange: (obstacle: string | null) => void): () => void;
  /** Takes back all that `open` and `attach` did, while the rules still stand. */
  close(signal: AbortSignal): Promise<void>;
}
