/**
 * A board's network: a namespace that outlives its containers, and two pairs of cards into it. All is configured from outside, before the
 * board's first instruction and with no right of the board's to change it. While the board sleeps both ends take nothing: its kernel would
 * otherwise answer for it, and keep what comes.
 */
import type { SystemNames } from "../../system/names.ts";
import { addNamespace, deleteNamespace, hasNamespace, ipIn, writeSettingIn } from "../../system/netns.ts";
import { createVeth, deleteVeth, openCards, shutCards } from "../../system/veth.ts";
import { WaitingBatch } from "../../system/waiting-batch.ts";
import type { BoardName } from "../board.ts";
import type { BoardIdentity } from "../identity.ts";

export interface ContainerCardsOptions {
  readonly name: BoardName;
  readonly names: SystemNames;
  readonly identity: BoardIdentity;
}

/** The board's ends. */
export const insideCards = { mgmt: "mgmt", service: "eth0" } as const;

export class ContainerCards {
  readonly namespace: string;
  readonly #options: ContainerCardsOptions;
  readonly #ends: readonly string[];
  /** Ready to open the host's ends and the board's at once. */
  #opening: { readonly host: WaitingBatch; readonly board: WaitingBatch } | undefined;

  constructor(options: ContainerCardsOptions) {
    const { name, names } = options;
    this.#options = options;
    this.namespace = `twinboard-${names.system}-${name}`;
    this.#ends = [names.card(name, "mgmt"), names.card(name, "service")];
  }

  /** Repeatable. Errors: `command-failed`. */
  async setUp(signal: AbortSignal): Promise<void> {
    const { name, names, identity } = this.#options;
    const { namespace } = this;
    await addNamespace(namespace, signal);
    const set = async (path: string, value: string): Promise<void> =>
      await writeSettingIn(namespace, path, value, signal);
    // The network is the host's, so the board's root is nobody in it: what it may do as root is allowed to all.
    await set("net/ipv4/ip_unprivileged_port_start", "0");
    await set("net/ipv4/ping_group_range", "0 2147483647");
    const mgmtMac = names.mac(name, "mgmt");
    await createVeth(
      {
        name: names.card(name, "mgmt"),
        namespace,
        peer: insideCards.mgmt,
        peerMac: mgmtMac,
        ipv6: "link-local",
        neighbour: { address: names.linkLocal(name, "mgmt"), mac: mgmtMac },
      },
      signal,
    );
    const ipv6 = identity.ipv6 === undefined || identity.wire !== "link" ? "off" : "silent";
    await createVeth(
      {
        name: names.card(name, "service"),
        namespace,
        peer: insideCards.service,
        peerMac: identity.mac,
        ipv6,
      },
      signal,
    );
    for (const card of Object.values(insideCards))
      for (const [key, value] of [
        ["accept_ra", "0"],
        ["accept_dad", "0"],
        ["dad_transmits", "0"],
      ] as const)
        await set(`net/ipv6/conf/${card}/${key}`, value);
    const ip = async (...words: string[]): Promise<void> => void (await ipIn(namespace, words, signal));
    for (const card of ["lo", ...Object.values(insideCards)]) await ip("link", "set", "dev", card, "up");
    const service = insideCards.service;
    for (const [family, told] of [
      ["-4", identity.ipv4],
      ["-6", identity.ipv6],
    ] as const) {
      if (told === undefined) continue;
      const nodad = family === "-6" ? ["nodad"] : [];
      await ip(family, "address", "replace", told.address, "dev", service, ...nodad);
      if (told.gateway !== undefined)
        await ip(family, "route", "replace", "default", "via", told.gateway, "dev", service, "onlink");
    }
  }

  /** Repeatable. Errors: `command-failed`. */
  async tearDown(signal: AbortSignal): Promise<void> {
    this.release();
    for (const end of this.#ends) await deleteVeth(end, signal);
    await deleteNamespace(this.namespace);
  }

  /** Of a board that is about to sleep. Repeatable. Errors: `command-failed`. */
  async shut(signal: AbortSignal): Promise<void> {
    await Promise.all([
      shutCards(this.#ends, signal),
      shutCards(Object.values(insideCards), signal, this.namespace),
    ]);
    this.#opening ??= { host: new WaitingBatch("tc"), board: new WaitingBatch("tc", this.namespace) };
  }

  /** Of a board that works, or is about to. Repeatable. Errors: `command-failed`. */
  async open(signal: AbortSignal): Promise<void> {
    const { namespace } = this;
    if (!(await hasNamespace(namespace))) return;
    const opening = this.#opening;
    this.#opening = undefined;
    await Promise.all([
      openCards(this.#ends, signal, { waiting: opening?.host }),
      openCards(Object.values(insideCards), signal, { namespace, waiting: opening?.board }),
    ]);
  }

  /** Lets go of them as they are. Repeatable. */
  release(): void {
    this.#opening?.host.end();
    this.#opening?.board.end();
    this.#opening = undefined;
  }
}
