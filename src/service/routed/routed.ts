/**
 * The routed wiring: the host answers on the service's address and passes each new flow to the board that holds, flows that exist stay
 * where they are. Boards stand on point-to-point links with addresses of their own; there is no bridge.
 */
import { type BoardName, boardNames } from "../../board/board.ts";
import { TwinboardError } from "../../errors.ts";
import { cards, ipv6Obstacle, removeAddress, unpoint } from "../../system/ip.ts";
import type { NftSession } from "../../system/nft.ts";
import { type Peer, pointAt } from "../../system/point-to-point.ts";
import { requirePrograms } from "../../system/programs.ts";
import { writeSetting } from "../../system/sysctl.ts";
import { families, familyOf, ipv4 } from "../network/family.ts";
import { refuseAnyIdentity } from "../network/identity.ts";
import { elementsOf, type Standing } from "../network/register.ts";
import { HostSettings } from "../network/settings.ts";
import type { DrainOrder, Wiring, WiringTable, WiringTrouble } from "../network/wiring.ts";
import type { DrainResult } from "../service.ts";
import { drainFlows } from "./drain.ts";
import { elements, shut, takeover } from "./elements.ts";
import { type Ipv6Switch, ipv6SwitchOf, type Opened, open, openCard, openedBy } from "./forwarding.ts";
import { listenersInTheWay } from "./listeners-in-the-way.ts";
import { refuseOverlap } from "./overlap.ts";
import { linkedFamilies, portsOf, type RoutedPlan } from "./plan.ts";
import { askedFromPorts } from "./probe-ports.ts";
import { rulesFor } from "./rules.ts";
import { stateOf } from "./troubles.ts";

export class RoutedWiring implements Wiring {
  readonly families = ["inet"] as const;
  readonly #plan: RoutedPlan;
  readonly #settings: HostSettings;
  readonly #namedSwitch: Ipv6Switch | undefined;
  /** A card of ours has been given the addresses of the boards' network: from then on it is the other system that is refused. */
  #hasAddresses = false;

  /** @param ipv6Switch what the kernel offers, unless it is named: the older way works with every kernel. */
  constructor(plan: RoutedPlan, ipv6Switch?: Ipv6Switch) {
    this.#plan = plan;
    this.#namedSwitch = ipv6Switch;
    this.#settings = new HostSettings(plan.stateDirectory);
  }

  async checkHost(standing: Standing): Promise<void> {
    await requirePrograms({ conntrack: "conntrack" });
    const { uplink, links } = this.#plan;
    const hasUplink = (await cards()).has(uplink);
    // What serves already goes on serving, and is told of.
    if (!hasUplink && standing.holder === null)
      throw new TwinboardError("missing-card", { detail: `${uplink}, the uplink` });
    const obstacle = links.ipv6 === undefined || !hasUplink ? undefined : await ipv6Obstacle(uplink);
    if (obstacle !== undefined) throw new TwinboardError("no-ipv6", { detail: obstacle });
    if (!standing.present) await this.#checkListeners();
    if (standing.holder === null) await refuseOverlap(this.#plan);
    refuseAnyIdentity(standing);
    this.#refuseOtherBoards(standing);
  }

  async tables(): Promise<WiringTable[]> {
    const plan = this.#plan;
    const rules = rulesFor(plan, await this.#opened());
    const changing = linkedFamilies(plan).flatMap(({ family: { suffix } }) => [
      `asker${suffix}`,
      `asker_port${suffix}`,
    ]);
    const follows = (holder: BoardName): Record<string, string> =>
      Object.fromEntries(
        linkedFamilies(plan).map(({ family, links }) => [`board${family.suffix}`, links[holder]]),
      );
    return [{ family: "inet", rules, elements: (standing) => elements(plan, standing), changing, follows }];
  }

  async open(): Promise<void> {
    // Once it is back, mending opens it.
    if (!(await cards()).has(this.#plan.uplink)) return;
    await this.#changeSettings();
    for (const { address } of [...this.#plan.services, ...this.#plan.stateless]) {
      await this.#settings.lend(address, familyOf(address).hostPrefix, this.#plan.uplink);
    }
  }

  /** A board that serves got its addresses when it booted: with others in the rules nothing would reach it. */
  #refuseOtherBoards({ holder, sets }: Standing): void {
    const boards = families.flatMap(({ suffix }) => elementsOf(sets, `boards${suffix}`).map(String));
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
    const card = this.#card(board);
    // Another system may have begun since the host was checked: its boards are not ours to cut off.
    if (!this.#hasAddresses) await refuseOverlap(this.#plan);
    // The board cannot claim addresses on its link: the host answers only for its end, and asks for none.
    await writeSetting(`net/ipv4/conf/${card}/arp_ignore`, "1");
    const mac = this.#plan.names.mac(board, "service");
    const ipv6Switch = await this.#ipv6Switch();
    const peers: Peer[] = [];
    for (const { family, links } of linkedFamilies(this.#plan)) {
      await openCard(family.name, card, ipv6Switch);
      peers.push({ address: links[board], prefix: family.hostPrefix, mac, from: links.host });
    }
    // Out of what an earlier configuration may have put it into: past a bridge these rules see nothing.
    await pointAt(card, peers, signal);
    this.#hasAddresses = true;
  }

  prepare(): Promise<void> {
    return Promise.resolve();
  }

  takeover(_: Standing, to: BoardName): string[] {
    return takeover(this.#plan, to);
  }

  /** The outside goes on speaking with the host. */
  announce(): Promise<void> {
    return Promise.resolve();
  }

  release(): Promise<void> {
    return Promise.resolve();
  }

  shut(board: BoardName): string[] {
    return shut(this.#plan, board);
  }

  async troubles({ holder }: Standing): Promise<readonly WiringTrouble[]> {
    return (await stateOf(this.#plan, holder, await this.#ipv6Switch())).troubles;
  }

  async mend(signal: AbortSignal): Promise<void> {
    const { detached } = await stateOf(this.#plan, null, await this.#ipv6Switch());
    await this.open();
    for (const board of detached) await this.attach(board, signal);
  }

  async drain(order: DrainOrder, nft: NftSession, signal: AbortSignal): Promise<DrainResult> {
    return await drainFlows(this.#plan, nft, order, signal);
  }

  /** Both boards share the uplink. */
  wireObstacle(): Promise<null> {
    return Promise.resolve(null);
  }

  watchWire(): () => void {
    return () => undefined;
  }

  async close(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#hasAddresses = false;
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
  }

  #card(board: BoardName): string {
    return this.#plan.names.card(board, "service");
  }

  async #ipv6Switch(): Promise<Ipv6Switch> {
    return this.#namedSwitch ?? (await ipv6SwitchOf());
  }

  async #opened(): Promise<Record<"ipv4" | "ipv6", Opened>> {
    const { uplink, links } = this.#plan;
    const of = async (family: "ipv4" | "ipv6"): Promise<Opened> =>
      links[family] === undefined
        ? "nothing"
        : await openedBy(this.#settings, family, uplink, await this.#ipv6Switch());
    return { ipv4: await of("ipv4"), ipv6: await of("ipv6") };
  }

  /** A listener of the host on a service's address would no longer be reached, and the cut needs the port. */
  async #checkListeners(): Promise<void> {
    const taken = (await listenersInTheWay(this.#plan))[0];
    if (taken !== undefined) throw new TwinboardError("address-in-use", { detail: taken.what });
  }

  async #changeSettings(): Promise<void> {
    const reserved = "net/ipv4/ip_local_reserved_ports";
    const { services, stateless } = this.#plan;
    const own = [...services, ...stateless.filter((service) => service.protocol === "udp")];
    const ports = [...own.map(portsOf), askedFromPorts];
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
