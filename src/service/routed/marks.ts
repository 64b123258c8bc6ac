/**
 * What the kernel remembers of a flow, in those bits of its ct mark that are ours (`network.mark-mask`): eight flags, two bits that
 * count, the board, and in what is left the number of the service, packed from the lowest bit up. All other bits belong to other programs: rules keep them
 * as they are, and nothing here reads them. Only flows of a service and flows that a board began carry a mark of ours.
 */
import type { BoardName } from "../../board/board.ts";

export interface Marks {
  /** Every bit that is ours. */
  readonly mask: number;
  /** R: a request is outstanding; the last segment with data went to the board, or the client has no room for more of its answer. */
  readonly requestBit: number;
  /** The client has said nothing since the last segment of an answer passed. */
  readonly unheardBit: number;
  /** K: closed by us; whatever comes is answered by a reset. */
  readonly closedBit: number;
  /** Closed between two requests, not cut. */
  readonly earlyBit: number;
  /** The client's end was sent its reset. */
  readonly clientToldBit: number;
  /** The board's end was sent its reset. */
  readonly boardToldBit: number;
  /** The client's end said by a reset of its own, or by beginning anew, that it knows the flow no more. */
  readonly clientGoneBit: number;
  /** The board began the flow. */
  readonly outgoingBit: number;
  /** How often the client has begun to speak since its TLS began, 1 to 3: until the fourth time R cannot be believed. 0: it can. */
  readonly youngMask: number;
  readonly youngMarks: readonly [number, number, number];
  readonly boardMask: number;
  readonly boardMark: Readonly<Record<BoardName, number>>;
  readonly serviceMask: number;
  /** Mark of the service at an index of the plan. */
  readonly serviceMark: (index: number) => number;
}

const flags = 10;

/** `mask`: at least thirteen bits; `config/` refuses one with too few for the services. Pure. */
export function marksIn(mask: number): Marks {
  const bits = Array.from({ length: 32 }, (_, bit) => (1 << bit) >>> 0).filter((bit) => (mask & bit) !== 0);
  const bit = (index: number): number => bits[index] ?? 0;
  const [first, second, ...number] = bits.slice(flags);
  const boards = [first ?? 0, second ?? 0] as const;
  return {
    mask: mask >>> 0,
    requestBit: bit(0),
    unheardBit: bit(1),
    closedBit: bit(2),
    earlyBit: bit(3),
    clientToldBit: bit(4),
    boardToldBit: bit(5),
    clientGoneBit: bit(6),
    outgoingBit: bit(7),
    youngMask: sum([bit(8), bit(9)]),
    youngMarks: [bit(8), bit(9), sum([bit(8), bit(9)])],
    boardMask: sum(boards),
    boardMark: { a: boards[0], b: boards[1] },
    serviceMask: sum(number),
    // Counted from 1: a flow without a number is none of a service's.
    serviceMark: (index) => sum(number.filter((_, place) => (((index + 1) >>> place) & 1) === 1)),
  };
}

export function hex(value: number): string {
  return `0x${(value >>> 0).toString(16)}`;
}

/** All 32 bits of a mark but these, for `ct mark & …`. */
export function without(bits: number): string {
  return hex(~bits);
}

function sum(bits: readonly number[]): number {
  return bits.reduce((all, bit) => all | bit, 0) >>> 0;
}
