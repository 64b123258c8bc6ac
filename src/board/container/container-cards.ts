/**
 * A board's network: a namespace that outlives its containers, and two pairs of cards into it. All is configured from outside, before the
 * board's first instruction and with no right of the board's to change it. While the board sleeps both ends take nothing: its kernel would
 * otherwise answer for it, and keep what comes.
 */
import type { SystemNames } from "../../system/names.ts";
import { addNamespace, configureIn, deleteNamespace, hasNamespace } from "../../system/netns.ts";
import { createVeths, deleteVeth, openCards, shutCards } from "../../system/veth.ts";
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

/** The network is the host's, so the board's root is nobody in it: what it may do as root is allowed to all. */
const openToAll = [
  ["net/ipv4/ip_unprivileged_port_start", "0"],
  ["net/ipv4/ping_group_range", "0 2147483647"],
] as const;

export class ContainerCards {
  readonly namespace: string;
  readonly #options: ContainerCardsOptions;
  readonly #ends: readonly [mgmt: string, service: string];
  #areMade = false;
  /** This daemon has opened them, and not shut them since; an earlier one may have left them shut. */
  #areOpen = false;
  /** They have shut the host's ends and the board's, and are ready to open them. */
  #opening: { readonly host: WaitingBatch; readonly board: WaitingBatch } | undefined;

  constructor(options: ContainerCardsOptions) {
    const { name, names } = options;
    this.#options = options;
    this.namespace = `twinboard-${names.system}-${name}`;
    this.#ends = [names.card(name, "mgmt"), names.card(name, "service")];
  }

  /** Whether this daemon has made them; whoever boots a board makes them so again before it, by `setUp`. */
  get areMade(): boolean {
    return this.#areMade;
  }

  /** Repeatable. Errors: `command-failed`. */
  async setUp(signal: AbortSignal): Promise<void> {
    this.#areMade = false;
    const { name, names, identity } = this.#options;
    const { namespace } = this;
    await addNamespace(namespace, signal);
    const { mgmt, service } = insideCards;
    const mgmtMac = names.mac(name, "mgmt");
    const neighbour = { address: names.linkLocal(name, "mgmt"), mac: mgmtMac };
    const silent = identity.ipv6 !== undefined && identity.wire === "link";
    const [mgmtEnd, serviceEnd] = [names.card(name, "mgmt"), names.card(name, "service")];
    await createVeths(
      namespace,
      [
        { name: mgmtEnd, peer: mgmt, peerMac: mgmtMac, ipv6: "link-local", neighbour },
        { name: serviceEnd, peer: service, peerMac: identity.mac, ipv6: silent ? "silent" : "off" },
      ],
      signal,
    );
    const believesNobody = [mgmt, service].flatMap((card) =>
      ["accept_ra", "accept_dad", "dad_transmits"].map(
        (key) => [`net/ipv6/conf/${card}/${key}`, "0"] as const,
      ),
    );
    const told = [identity.ipv4, identity.ipv6].filter((one) => one !== undefined);
    await configureIn(
      namespace,
      [...openToAll, ...believesNobody],
      [
        ...["lo", mgmt, service].map((card) => `link set dev ${card} up`),
        ...told.flatMap(({ address, gateway }) => [
          `address replace ${address} dev ${service}${address.includes(":") ? " nodad" : ""}`,
          ...(gateway === undefined ? [] : [`route replace default via ${gateway} dev ${service} onlink`]),
        ]),
      ],
      signal,
    );
    this.#areMade = true;
  }

  /** Repeatable. Errors: `command-failed`. */
  async tearDown(signal: AbortSignal): Promise<void> {
    this.#areMade = false;
    this.#areOpen = false;
    this.release();
    for (const end of this.#ends) await deleteVeth(end, signal);
    await deleteNamespace(this.namespace);
  }

  /** Of a board that is about to sleep. Repeatable. Errors: `command-failed`. */
  async shut(signal: AbortSignal): Promise<void> {
    const { namespace } = this;
    this.#areOpen = false;
    this.#opening ??= {
      host: new WaitingBatch("tc", this.#ends[0]),
      board: new WaitingBatch("tc", insideCards.mgmt, namespace),
    };
    const { host, board } = this.#opening;
    await Promise.all([
      shutCards(this.#ends, signal, { waiting: host }),
      shutCards(Object.values(insideCards), signal, { namespace, waiting: board }),
    ]);
  }

  /** Of a board that works, or is about to. Repeatable. Errors: `command-failed`. */
  async open(signal: AbortSignal): Promise<void> {
    const { namespace } = this;
    if (this.#areOpen) return;
    // A program that waits in there needs no name for it.
    if (this.#opening?.board.waits !== true && !(await hasNamespace(namespace))) return;
    try {
      await Promise.all([
        openCards(this.#ends, signal, { waiting: this.#opening?.host }),
        openCards(Object.values(insideCards), signal, { namespace, waiting: this.#opening?.board }),
      ]);
      this.#areOpen = true;
    } finally {
      this.release();
    }
  }

  /** Lets go of them as they are. Repeatable. */
  release(): void {
    this.#opening?.host.end();
    this.#opening?.board.end();
    this.#opening = undefined;
  }
}
