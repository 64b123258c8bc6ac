/**
 * The network switch: which board the outside reaches, by one transaction of nftables over all tables of the system. How boards are joined
 * to the outside is its wiring's affair.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type BoardName, boardNames } from "../../board/board.ts";
import { TwinboardError } from "../../errors.ts";
import { writeFileAtomically } from "../../system/files.ts";
import { cards } from "../../system/ip.ts";
import type { SystemNames } from "../../system/names.ts";
import { deleteTable, familiesWith, loadRules, type NftObject, NftSession } from "../../system/nft.ts";
import type { DrainOptions, DrainResult, Service, ServiceCondition, Trouble } from "../service.ts";
import {
  absent,
  digestOf,
  nextEpoch,
  noteShape,
  registerFamily,
  type Standing,
  shut,
  standingOf,
  tablesFile,
  takeover,
} from "./register.ts";
import { followsHolder, shapeOf } from "./shape.ts";
import type { Wiring, WiringTable } from "./wiring.ts";

/** How often a transaction is made anew when another daemon's came between reading and writing. */
const maxEpochTries = 5;
/** Troubles are asked for all the time, and a look at all rules costs some milliseconds. */
const defaultRulesLookMs = 10_000;
/** How old a reading may be that a takeover is made from: whoever has decided on one has just read. */
const recentMs = 1000;

export class NetworkSwitch implements Service {
  readonly pastHost: boolean;
  readonly #names: SystemNames;
  readonly #stateDirectory: string;
  readonly #wiring: Wiring;
  readonly #rulesLookMs: number;
  readonly #nft = new NftSession();
  /** Boards whose host side this daemon has made. */
  readonly #attached = new Set<BoardName>();
  /** When the rules were last seen to be what was loaded. */
  #wholeAtMs: number | undefined;
  /** The standing from which `prepare` prepared a takeover; whatever raises the epoch after it makes that takeover fail. */
  #prepared: { readonly to: BoardName; readonly from: Standing } | undefined;
  /** The last reading, and how many changes had been made before it. */
  #seen: { readonly standing: Standing; readonly atMs: number; readonly changes: number } | undefined;

  /** @param rulesLookMs how old a look at the rules may be. */
  constructor(names: SystemNames, stateDirectory: string, wiring: Wiring, rulesLookMs = defaultRulesLookMs) {
    this.#rulesLookMs = rulesLookMs;
    this.#names = names;
    this.#stateDirectory = stateDirectory;
    this.#wiring = wiring;
    this.pastHost = wiring.pastHost === true;
  }

  async setUp(signal: AbortSignal): Promise<void> {
    if (process.geteuid?.() !== 0) throw new TwinboardError("need-root", { detail: "rules and addresses" });
    signal.throwIfAborted();
    const standing = await this.#read();
    await this.#wiring.checkHost(standing);
    const tables = await this.#wiring.tables();
    // The fence stands before the host passes on anything, and before any card can come up.
    const isOurs = standing.present && standing.digest === digestOf(this.#names, tables);
    if (!isOurs || !(await this.#isWhole(standing, tables))) await this.#replace(standing, tables, signal);
    await this.#wiring.open(signal);
    const found = await cards();
    for (const board of boardNames) {
      if (!found.has(this.#card(board))) continue;
      try {
        await this.attach(board, signal);
      } catch (error) {
        // What serves already goes on serving; what it lacks is a trouble, and is mended once it is there.
        const isLacking =
          error instanceof TwinboardError && ["missing-card", "address-in-use"].includes(error.code);
        if (standing.holder === null || !isLacking) throw error;
      }
    }
    await this.#nft.warmUp();
    if (standing.holder !== null) await this.#wiring.announce(standing.holder, this.#nft);
  }

  async attach(board: BoardName, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#attached.delete(board);
    const card = this.#card(board);
    if (!this.pastHost && !(await cards()).has(card))
      throw new TwinboardError("missing-card", { detail: `${card} of board ${board}` });
    await this.#wiring.attach(board, signal, this.#nft);
    this.#attached.add(board);
  }

  async inspect(): Promise<ServiceCondition> {
    const { present, holder, draining, epoch } = await this.#read();
    return { present, holder, draining, epoch };
  }

  async raiseEpoch(above = 0): Promise<number> {
    for (let tries = 1; ; tries += 1) {
      const { present, epoch } = await this.#read();
      // Without a table a late transaction fails by itself.
      if (!present) return 0;
      try {
        await this.#nft.change(nextEpoch(this.#names, epoch, above));
        return Math.max(epoch, above) + 1;
      } catch (error) {
        if (tries === maxEpochTries) throw error;
      }
    }
  }

  async prepare(
    to: BoardName,
    signal: AbortSignal,
    { partly = false }: { readonly partly?: boolean } = {},
  ): Promise<void> {
    const from = this.#recent() ?? (await this.#readPresent());
    const obstacle = partly || from.holder === to ? null : await this.#wiring.wireObstacle(to);
    if (obstacle !== null) throw new TwinboardError("board-unlinked", { detail: `board ${to}: ${obstacle}` });
    // Each boot attaches; a take-back, in which every millisecond counts, finds that done.
    if (!this.#attached.has(to)) await this.attach(to, signal);
    await this.#nft.warmUp();
    await this.#wiring.prepare(to, from, signal);
    this.#prepared = from.holder === to ? undefined : { to, from };
  }

  async handOver(to: BoardName, signal: AbortSignal): Promise<{ readonly ms: number }> {
    signal.throwIfAborted();
    const from = this.#prepared?.to === to ? this.#prepared.from : await this.#readPresent();
    this.#prepared = undefined;
    if (from.holder === to) return { ms: 0 };
    const statements = takeover(this.#names, from, to, this.#wiring.takeover(from, to));
    const started = performance.now();
    try {
      this.#wiring.foretell?.(to);
      await this.#nft.change(statements);
    } catch (error) {
      await this.#judge(from, to, error);
    }
    const ms = performance.now() - started;
    await this.#wiring.announce(to, this.#nft);
    return { ms };
  }

  async release(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#prepared = undefined;
    await this.#wiring.release();
  }

  async drain(board: BoardName, options: DrainOptions, signal: AbortSignal): Promise<DrainResult> {
    const { holder, epoch } = await this.#readPresent();
    if (holder === board)
      throw new TwinboardError("internal", { detail: `drain of board ${board}, which holds` });
    try {
      return await this.#wiring.drain({ board, epoch, ...options }, this.#nft, signal);
    } catch (cause) {
      signal.throwIfAborted();
      if ((await this.#read()).epoch === epoch) throw cause;
      throw new TwinboardError("stale-epoch", {
        detail: `the drain of board ${board} is of epoch ${epoch}`,
        cause,
      });
    }
  }

  async fence(board: BoardName): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      const standing = await this.#read();
      const { holder, draining, epoch } = standing;
      if (holder === board)
        throw new TwinboardError("internal", { detail: `fence of board ${board}, which holds` });
      if (draining !== board) return;
      try {
        await this.#nft.change(shut(this.#names, epoch, this.#wiring.shut(board, standing)));
        return;
      } catch (error) {
        if (tries === maxEpochTries) throw error;
      }
    }
  }

  /** A transaction moves all of it or nothing: what does not work, works for nobody. */
  async troubles(): Promise<readonly Trouble[]> {
    const standing = await this.#read();
    if (!standing.present) return [];
    const damage = standing.damage ?? (await this.#change(standing));
    const found = await this.#wiring.troubles(standing, this.#nft);
    const ofRules = damage === undefined ? [] : [{ what: damage, mendable: true }];
    return [...ofRules, ...found].map((trouble) => ({ service: "network", ...trouble }));
  }

  async mend(signal: AbortSignal): Promise<void> {
    const standing = await this.#read();
    if (!standing.present) return;
    const tables = await this.#wiring.tables();
    if (!(await this.#isWhole(standing, tables))) await this.#replace(standing, tables, signal);
    this.#wholeAtMs = undefined;
    await this.#wiring.mend(signal);
  }

  wireObstacle(board: BoardName): Promise<string | null> {
    return this.#wiring.wireObstacle(board);
  }

  watchWire(board: BoardName, onChange: (obstacle: string | null) => void): () => void {
    return this.#wiring.watchWire(board, onChange);
  }

  async tearDown(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#prepared = undefined;
    this.#seen = undefined;
    this.#attached.clear();
    await this.#nft.close();
    await this.#wiring.close(signal);
    const { table } = this.#names;
    // The register's table last: while it is there, something is.
    const families = await familiesWith(table);
    for (const family of families.toSorted((one) => (one === registerFamily ? 1 : -1)))
      await deleteTable(family, table);
  }

  #card(board: BoardName): string {
    return this.#names.card(board, "service");
  }

  async #read(): Promise<Standing> {
    const { changes } = this.#nft;
    const atMs = performance.now();
    const standing = await this.#readWhole();
    this.#seen = { standing, atMs, changes };
    return standing;
  }

  /** What was read a moment ago. To read costs a woken board a third of its way; if somebody else has changed it since, the epoch makes the takeover fail. */
  #recent(): Standing | undefined {
    if (this.#seen === undefined) return undefined;
    const { standing, atMs, changes } = this.#seen;
    const isRecent = performance.now() - atMs < recentMs && changes === this.#nft.changes;
    return isRecent && standing.present ? standing : undefined;
  }

  /** A register whose other tables are gone says nothing of what is. */
  async #readWhole(): Promise<Standing> {
    const { table } = this.#names;
    const standing = standingOf(this.#names, await this.#nft.readSets(registerFamily, table));
    if (!standing.present) return absent;
    for (const family of this.#wiring.families) {
      if (family === registerFamily) continue;
      if ((await this.#nft.readSets(family, table)) === undefined) return absent;
    }
    return standing;
  }

  async #readPresent(): Promise<Standing> {
    const standing = await this.#read();
    if (!standing.present)
      throw new TwinboardError("takeover-failed", { detail: "the service is not set up" });
    return standing;
  }

  /** What became of a takeover whose transaction was not confirmed: the kernel says. Returns if it took place. */
  async #judge(from: ServiceCondition, to: BoardName, cause: unknown): Promise<void> {
    const now = await this.#read();
    if (now.epoch === from.epoch + 1 && now.holder === to) return;
    if (now.holder !== null) await this.#wiring.announce(now.holder, this.#nft);
    const code = now.present && now.epoch !== from.epoch ? "stale-epoch" : "takeover-failed";
    throw new TwinboardError(code, {
      detail: `to board ${to}: epoch ${from.epoch} was expected, ${now.epoch} is there`,
      cause,
    });
  }

  /** What somebody changed in the rules, as a sentence; looked for now and then. */
  async #change(standing: Standing): Promise<string | undefined> {
    const now = performance.now();
    if (this.#wholeAtMs !== undefined && now - this.#wholeAtMs < this.#rulesLookMs) return undefined;
    const whole = await this.#isWhole(standing, await this.#wiring.tables());
    this.#wholeAtMs = whole ? now : undefined;
    return whole ? undefined : `somebody changed the rules of table ${this.#names.table}`;
  }

  /** Whether the tables are what was loaded, besides what takeovers change. */
  async #isWhole(standing: Standing, tables: readonly WiringTable[]): Promise<boolean> {
    if (standing.damage !== undefined || standing.shape === undefined) return false;
    const listings = await this.#listings(tables);
    return standing.shape === shapeOf(tables, listings) && followsHolder(tables, listings, standing.holder);
  }

  async #listings(tables: readonly WiringTable[]): Promise<Record<string, readonly NftObject[]>> {
    const listings: Record<string, readonly NftObject[]> = {};
    for (const family of new Set([registerFamily, ...tables.map((table) => table.family)]))
      listings[family] = await this.#nft.readTable(family, this.#names.table);
    return listings;
  }

  /** Makes the tables, or makes them anew in one transaction, without a change of holder. */
  async #replace(standing: Standing, tables: readonly WiringTable[], signal: AbortSignal): Promise<void> {
    const present = await familiesWith(this.#names.table);
    await this.#load(tablesFile(this.#names, tables, standing, present), signal);
    const shape = shapeOf(tables, await this.#listings(tables));
    await this.#nft.change(noteShape(this.#names, Math.max(1, standing.epoch), shape));
  }

  async #load(text: string, signal: AbortSignal): Promise<void> {
    const path = join(this.#stateDirectory, "service.nft");
    await writeFileAtomically(path, text);
    await loadRules(path, signal);
    await rm(path);
  }
}
