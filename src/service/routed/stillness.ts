/** How long each flow has been still: since when no data has passed, as far as anybody looked. */
import type { Flow } from "../../system/conntrack.ts";
import { familyOf } from "../network/family.ts";

interface Seen {
  readonly packets: number;
  readonly bytes: number;
  readonly sinceMs: number;
}

/** Bytes of a TCP header of a segment without data: alone, or with the timestamps that most ends send (RFC 7323, section 3.2). */
const emptyBytes = [20, 32] as const;

export class Stillness {
  #seen: ReadonlyMap<number, Seen> = new Map();
  readonly #isStill: typeof hasNoData;

  /** @param isStill whether a flow has said nothing since it was seen before: TCP's empty segments say nothing. */
  constructor(isStill = hasNoData) {
    this.#isStill = isStill;
  }

  /** A look at all flows, begun at `nowMs`. */
  note(flows: readonly Flow[], nowMs: number): void {
    this.#seen = new Map(
      flows.map((flow) => {
        const { id, packets, bytes } = flow;
        const before = this.#seen.get(id);
        const still = before !== undefined && this.#isStill(flow, before);
        return [id, { packets, bytes, sinceMs: still ? before.sinceMs : nowMs }];
      }),
    );
  }

  stillMs({ id }: Flow, nowMs: number): number {
    return nowMs - (this.#seen.get(id)?.sinceMs ?? nowMs);
  }
}

/** An exchange of empty segments is somebody who keeps the connection alive (every second, with Node's agent), and no request. */
function hasNoData({ packets, bytes, answeredBy }: Flow, before: Seen): boolean {
  const more = packets - before.packets;
  const { headerBytes } = familyOf(answeredBy);
  return emptyBytes.some((empty) => bytes - before.bytes === more * (headerBytes + empty));
}
