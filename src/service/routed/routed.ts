/**
 * The routed service: the host answers on the service's address and passes each new flow to the board that holds, flows that
 * exist stay where they are. Boards stand on point-to-point links with addresses of their own; there is no bridge.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type BoardName, boardNames } from "../../board/board.ts";
import { TwinboardError } from "../../errors.ts";
import { writeFileAtomically } from "../../system/files.ts";
import { addAddress, cards, ipv6Obstacle, pointTo, removeAddress, unpoint } from "../../system/ip.ts";
import { hears, tcpListeners } from "../../system/listeners.ts";
import { hasTable, loadRules, NftSession } from "../../system/nft.ts";
import { run } from "../../system/process.ts";
import { writeSetting } from "../../system/sysctl.ts";
import type { DrainProgress, DrainResult, Service, ServiceCondition } from "../service.ts";
import { drainFlows } from "./drain.ts";
import {
  conditionOf,
  nextEpoch,
  shut,
  type TableCondition,
  tableFamily,
  tableFile,
  takeover,
} from "./elements.ts";
import { familyOf, ipv4 } from "./family.ts";
import { type Ipv6Switch, ipv6SwitchOf, type Opened, open, openCard, openedBy } from "./forwarding.ts";
import { linkedFamilies, type RoutedPlan } from "./plan.ts";
import { askedFromPorts } from "./probe-ports.ts";
import { rulesFor } from "./rules.ts";
import { HostSettings } from "./settings.ts";

/** How often a transaction is made anew when another daemon's came between reading and writing. */
const maxEpochTries = 5;

export class RoutedService implements Service {
  readonly #plan: RoutedPlan;
  /** Boards whose host side this daemon has made. */
  readonly #attached = new Set<BoardName>();
  readonly #settings: HostSettings;
  readonly #namedSwitch: Ipv6Switch | undefined;
  readonly #nft = new NftSession();
  /** The condition from which `prepare` prepared a takeover; whatever raises the epoch after it makes that takeover fail. */
  #prepared: { readonly to: BoardName; readonly from: ServiceCondition } | undefined;

  /** @param ipv6Switch what the kernel offers, unless it is named: the older way works with every kernel. */
  constructor(plan: RoutedPlan, ipv6Switch?: Ipv6Switch) {
    this.#plan = plan;
    this.#namedSwitch = ipv6Switch;
    this.#settings = new HostSettings(plan.stateDirectory);
  }

  async setUp(signal: AbortSignal): Promise<void> {
    await this.#checkHost(signal);
    const was = await this.#read();
    if (!was.present) await this.#checkListeners();
    this.#refuseOtherBoards(was);
    const rules = rulesFor(this.#plan, await this.#opened());
    // The fence stands before the host passes on anything, and before any card can come up.
    if (was.digest !== rules.digest) await this.#load(tableFile(this.#plan, rules, was), signal);
    await this.#changeSettings();
    for (const { address } of this.#plan.services) {
      await this.#settings.lend(address, familyOf(address).hostPrefix, this.#plan.uplink);
    }
    const present = await cards();
    for (const board of boardNames) {
      if (present.has(this.#card(board))) await this.attach(board, signal);
    }
    await this.#nft.warmUp();
  }

  /** A board that serves got its addresses when it booted: with others in the rules nothing would reach it. */
  #refuseOtherBoards({ holder, boards }: TableCondition): void {
    if (holder === null || boards.length === 0) return;
    for (const { family, links } of linkedFamilies(this.#plan)) {
      const { a, b } = links;
      if (boards.includes(a) && boards.includes(b)) continue;
      const key = family === ipv4 ? "network.boards" : "network.boards6";
      throw new TwinboardError("config-changed", {
        detail: `${key} gives the boards ${a} and ${b}, those that run have ${boards.join(" and ")}`,
      });
    }
  }

  async attach(board: BoardName, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#attached.delete(board);
    const card = this.#card(board);
    if (!(await cards()).has(card))
      throw new TwinboardError("missing-card", { detail: `${card} of board ${board}` });
    // The board cannot claim addresses on its link: the host answers only for its end, and asks for none.
    await writeSetting(`net/ipv4/conf/${card}/arp_ignore`, "1");
    const mac = this.#plan.names.mac(board, "service");
    const ipv6Switch = await this.#ipv6Switch();
    for (const { family, links } of linkedFamilies(this.#plan)) {
      await openCard(family.name, card, ipv6Switch);
      await addAddress(links.host, family.hostPrefix, card);
      await pointTo(card, { address: links[board], prefix: family.hostPrefix, mac, from: links.host });
    }
    this.#attached.add(board);
  }

  async inspect(): Promise<ServiceCondition> {
    const { present, holder, draining, epoch } = await this.#read();
    return { present, holder, draining, epoch };
  }

  async raiseEpoch(): Promise<number> {
    for (let tries = 1; ; tries += 1) {
      const { present, epoch } = await this.#read();
      // Without a table a late transaction fails by itself.
      if (!present) return 0;
      try {
        await this.#nft.change(nextEpoch(this.#plan, epoch));
        return epoch + 1;
      } catch (error) {
        if (tries === maxEpochTries) throw error;
      }
    }
  }

  async prepare(to: BoardName, signal: AbortSignal): Promise<void> {
    const from = await this.#readPresent();
    // Each boot attaches; a take-back, in which every millisecond counts, finds that done.
    if (!this.#attached.has(to)) await this.attach(to, signal);
    await this.#nft.warmUp();
    this.#prepared = from.holder === to ? undefined : { to, from };
  }

  async handOver(to: BoardName, signal: AbortSignal): Promise<{ readonly ms: number }> {
    signal.throwIfAborted();
    const from = this.#prepared?.to === to ? this.#prepared.from : await this.#readPresent();
    this.#prepared = undefined;
    if (from.holder === to) return { ms: 0 };
    const statements = takeover(this.#plan, from, to);
    const started = performance.now();
    try {
      await this.#nft.change(statements);
    } catch (error) {
      await this.#judge(from, to, error);
    }
    return { ms: performance.now() - started };
  }

  async release(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#prepared = undefined;
  }

  async drain(
    board: BoardName,
    options: {
      readonly sinceMs: number;
      readonly atOnce?: boolean;
      readonly onProgress?: (progress: DrainProgress) => void;
    },
    signal: AbortSignal,
  ): Promise<DrainResult> {
    const { holder, epoch } = await this.#readPresent();
    if (holder === board)
      throw new TwinboardError("internal", { detail: `drain of board ${board}, which holds` });
    try {
      return await drainFlows(this.#plan, this.#nft, { board, epoch, ...options }, signal);
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
      const { holder, draining, epoch } = await this.#read();
      if (holder === board)
        throw new TwinboardError("internal", { detail: `fence of board ${board}, which holds` });
      if (draining !== board) return;
      try {
        await this.#nft.change(shut(this.#plan, epoch, board));
        return;
      } catch (error) {
        if (tries === maxEpochTries) throw error;
      }
    }
  }

  async tearDown(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#prepared = undefined;
    this.#attached.clear();
    await this.#nft.close();
    await this.#settings.putBack();
    const present = await cards();
    for (const board of boardNames) {
      const card = this.#card(board);
      if (!present.has(card)) continue;
      for (const { family, links } of linkedFamilies(this.#plan)) {
        await unpoint(card, links[board], family.hostPrefix);
        await removeAddress(links.host, family.hostPrefix, card);
      }
    }
    const { table } = this.#plan.names;
    if (await hasTable(tableFamily, table)) await run("nft", ["delete", "table", tableFamily, table]);
  }

  #card(board: BoardName): string {
    return this.#plan.names.card(board, "service");
  }

  async #ipv6Switch(): Promise<Ipv6Switch> {
    return this.#namedSwitch ?? (await ipv6SwitchOf(this.#plan.uplink));
  }

  async #opened(): Promise<Record<"ipv4" | "ipv6", Opened>> {
    const { uplink, links } = this.#plan;
    const of = async (family: "ipv4" | "ipv6"): Promise<Opened> =>
      links[family] === undefined
        ? "nothing"
        : await openedBy(this.#settings, family, uplink, await this.#ipv6Switch());
    return { ipv4: await of("ipv4"), ipv6: await of("ipv6") };
  }

  async #read(): Promise<TableCondition> {
    return conditionOf(this.#plan, await this.#nft.readSets(tableFamily, this.#plan.names.table));
  }

  async #readPresent(): Promise<TableCondition> {
    const condition = await this.#read();
    if (!condition.present)
      throw new TwinboardError("takeover-failed", { detail: "the service is not set up" });
    return condition;
  }

  /** What became of a takeover whose transaction was not confirmed: the kernel says. Returns if it took place. */
  async #judge(from: ServiceCondition, to: BoardName, cause: unknown): Promise<void> {
    const now = await this.#read();
    if (now.epoch === from.epoch + 1 && now.holder === to) return;
    const code = now.present && now.epoch !== from.epoch ? "stale-epoch" : "takeover-failed";
    throw new TwinboardError(code, {
      detail: `to board ${to}: epoch ${from.epoch} was expected, ${now.epoch} is there`,
      cause,
    });
  }

  async #checkHost(signal: AbortSignal): Promise<void> {
    if (process.geteuid?.() !== 0) throw new TwinboardError("need-root", { detail: "rules and addresses" });
    for (const program of ["nft", "conntrack"]) await run(program, ["--version"], { signal });
    if (!(await cards()).has(this.#plan.uplink)) {
      throw new TwinboardError("missing-card", { detail: `${this.#plan.uplink}, the uplink` });
    }
    const obstacle = this.#plan.links.ipv6 === undefined ? undefined : await ipv6Obstacle(this.#plan.uplink);
    if (obstacle !== undefined) throw new TwinboardError("no-ipv6", { detail: obstacle });
  }

  /** A listener of the host on a service's address would no longer be reached, and the cut needs the port. */
  async #checkListeners(): Promise<void> {
    const listeners = await tcpListeners();
    for (const { name, address, port } of this.#plan.services) {
      const taken = listeners.find((one) => one.port === port && hears(one, address));
      if (taken === undefined) continue;
      throw new TwinboardError("address-in-use", {
        detail: `a program of this host listens on port ${port} of ${taken.address}, the port of service ${name}`,
      });
    }
  }

  async #load(text: string, signal: AbortSignal): Promise<void> {
    const path = join(this.#plan.stateDirectory, "routed.nft");
    await writeFileAtomically(path, text);
    await loadRules(path, signal);
    await rm(path);
  }

  async #changeSettings(): Promise<void> {
    const reserved = "net/ipv4/ip_local_reserved_ports";
    const ports = [...this.#plan.services.map(({ port }) => String(port)), askedFromPorts];
    const already = await this.#settings.original(reserved);
    // The kernel keeps flows apart from the host's own connections only if these never take a service's port.
    const all = new Set([already, ...ports].filter((part) => part !== ""));
    await this.#settings.set(reserved, [...all].join(","));
    await this.#settings.set("net/netfilter/nf_conntrack_acct", "1");
    const ipv6Switch = await this.#ipv6Switch();
    for (const { family } of linkedFamilies(this.#plan))
      await open(this.#settings, family.name, this.#plan.uplink, ipv6Switch);
  }
}
