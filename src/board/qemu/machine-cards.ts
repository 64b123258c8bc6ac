/**
 * The host's ends of a machine's cards: of two, or of the host-only one where the other is a card of the machine's own. While the machine sleeps they take nothing: what is sent to it then, by whomever, is dropped
 * by the kernel at once, wakes nobody, and is not there when it wakes.
 */
import type { SystemNames } from "../../system/names.ts";
import { createTap, deleteTap, openTaps, shutTaps } from "../../system/tap.ts";
import { WaitingBatch } from "../../system/waiting-batch.ts";
import type { BoardName } from "../board.ts";
import type { BoardIdentity } from "../identity.ts";

export interface MachineCardsOptions {
  readonly name: BoardName;
  readonly names: SystemNames;
  readonly user: { readonly uid: number };
  readonly identity: BoardIdentity;
}

export class MachineCards {
  readonly #options: MachineCardsOptions;
  readonly #mgmt: string;
  readonly #service: string;
  /** Those that the host has. */
  readonly #ends: readonly string[];
  /** It has shut both, and is ready to open them. */
  #opening: WaitingBatch | undefined;

  constructor(options: MachineCardsOptions) {
    const { name, names, identity } = options;
    this.#options = options;
    this.#mgmt = names.card(name, "mgmt");
    this.#service = names.card(name, "service");
    this.#ends = typeof identity.wire === "string" ? [this.#mgmt, this.#service] : [this.#mgmt];
  }

  /** Makes them; those of a machine that sleeps stay shut. Repeatable. Errors: `command-failed`. */
  async setUp(signal: AbortSignal): Promise<void> {
    const { name, names, user, identity } = this.#options;
    const ownerUid = user.uid;
    const neighbour = { address: names.linkLocal(name, "mgmt"), mac: names.mac(name, "mgmt") };
    await createTap({ name: this.#mgmt, ownerUid, ipv6: "link-local", neighbour }, signal);
    if (!this.#ends.includes(this.#service)) return;
    const ipv6 = identity.ipv6 === undefined || identity.wire !== "link" ? "off" : "silent";
    await createTap({ name: this.#service, ownerUid, ipv6 }, signal);
  }

  /** Repeatable. Errors: `command-failed`. */
  async tearDown(signal: AbortSignal): Promise<void> {
    this.release();
    await deleteTap(this.#mgmt, signal);
    await deleteTap(this.#service, signal);
  }

  /** Of a machine that is about to sleep; what waits for it is gone. Repeatable. Errors: `command-failed`. */
  async shut(signal: AbortSignal): Promise<void> {
    this.#opening ??= new WaitingBatch("ip", this.#mgmt);
    await shutTaps(this.#ends, signal, this.#opening);
  }

  /** Of a machine that works, or is about to. Repeatable. Errors: `command-failed`. */
  async open(signal: AbortSignal): Promise<void> {
    try {
      await openTaps(this.#ends, signal, this.#opening);
    } finally {
      this.release();
    }
  }

  /** Lets go of them as they are. Repeatable. */
  release(): void {
    this.#opening?.end();
    this.#opening = undefined;
  }
}
