/**
 * What the kernel remembers of a flow, in its ct mark: flags in bits 0–7, the board in 8–15, the number of the service in 16–23.
 * Only flows of a service and flows that a board began carry a mark of ours.
 */
import type { BoardName } from "../../board/board.ts";

/** R: a request is outstanding; the last segment with data went to the board. */
export const requestBit = 0x01;
/** K: closed by us; whatever comes is answered by a reset. */
export const closedBit = 0x02;
/** The board's end was sent its reset. */
export const boardEndBit = 0x04;
/** The client's end said by a reset of its own that it knows the flow no more. */
export const clientEndBit = 0x08;
/** The board began the flow. */
export const outgoingBit = 0x10;

export const boardMask = 0xff00;
export const serviceMask = 0xff_0000;

export const boardMark: Readonly<Record<BoardName, number>> = { a: 0x100, b: 0x200 };

/** Mark of the service at `index` of the plan. */
export function serviceMark(index: number): number {
  return (index + 1) << 16;
}

export function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

/** All 32 bits of a mark but these, for `ct mark & …`. */
export function without(bits: number): string {
  return hex(~bits >>> 0);
}
