/**
 * The cut: what is left of a drained board's flows is reset on both ends, at once, also where nobody would speak.
 *
 * From the moment at which a flow's board and service are in the set `cut`, the kernel answers whatever comes with a reset. A silent
 * client is made to speak by a question (`probe.ts`). A second one finds the client without the flow and draws a reset, which the
 * rules turn into a question for the board; the board's answer is reset likewise. Where a client's firewall keeps questions away, the
 * board is asked: its first answer becomes the client's reset, its second is answered by its own.
 */
import type { BoardName } from "../../board/board.ts";
import { systemClock } from "../../system/clock.ts";
import type { NftSession } from "../../system/nft.ts";
import { ask } from "./ask.ts";
import { cutOff } from "./elements.ts";
import { flowsOf, forgetFlows, type ServiceFlow } from "./flows.ts";
import { marksIn } from "./marks.ts";
import type { RoutedPlan } from "./plan.ts";
import { OpenProbe, sendSyns, synToClient } from "./probe.ts";

export interface CutOrder {
  readonly board: BoardName;
  readonly epoch: number;
  /** The board is dead or failed: once its client knows, a flow is done. */
  readonly atOnce?: boolean;
}

export interface CutOutcome {
  /** Flows as they were last seen, some more than once. */
  readonly seen: readonly ServiceFlow[];
  /** Flows of which neither end could be made to tell the client. */
  readonly clientsUntold: number;
  /** Flows of which the board never answered. */
  readonly boardsUntold: number;
}

/** Questions under way at once, each with a socket of the daemon that waits. */
const batchFlows = 1000;
/** An end answers one stray SYN of a connection in 500 ms (tcp_invalid_ratelimit, ip-sysctl.rst). */
const askAgainMs = 600;
const rounds = 4;
/** Before the second SYN: a client that begins anew from the same port at once shall have done so, or the two would cross. */
const confirmAfterMs = 50;
/** A client that has not answered by then may be behind a firewall. */
const askBoardAfterMs = 100;
const lookAgainMs = 5;
const maxLookAgainMs = 50;

/** One flow on its way to be over. */
interface Ending {
  flow: ServiceFlow;
  readonly beganMs: number;
  probe: OpenProbe | undefined;
  clientAskedMs: number;
  boardAskedMs: number;
  /** The client's end was reset; the next question is to confirm it and to reach the board. */
  confirming: boolean;
}

/** Errors: `command-failed` (with another epoch, as when the board holds again, nothing is cut); the signal's reason. */
export async function cutFlows(
  plan: RoutedPlan,
  nft: NftSession,
  order: CutOrder,
  flows: readonly ServiceFlow[],
  signal: AbortSignal,
): Promise<CutOutcome> {
  const { serviceMask, boardMask } = marksIn(plan.markMask);
  const flowMask = serviceMask | boardMask;
  const marks = [...new Set(flows.map(({ mark }) => (mark & flowMask) >>> 0))];
  await nft.change(cutOff(plan, order.epoch, marks));
  const clients = flows.filter(({ state }) => state !== "SYN_SENT");
  // Every client is asked before anything is waited for. Those that are just being answered learn from their next segment.
  await sendSyns(clients.toSorted(byRequest).map(synToClient));
  const seen: ServiceFlow[][] = [];
  const open: Ending[] = [];
  for (let first = 0; first < clients.length; first += batchFlows) {
    const batch = clients.slice(first, first + batchFlows);
    open.push(...(await endAll(plan, order, batch, seen, signal)));
  }
  // Who has said nothing by now is gone or shut off: whatever either end says later is answered by a reset all the same.
  // A handshake that the board never answered is forgotten too: the client's next SYN reaches the holder, and nothing is lost.
  for (const mark of marks) {
    const bits = (mark & serviceMask) >>> 0;
    seen.push(await forgetFlows(plan, order.board, { bits, mask: serviceMask }));
  }
  return {
    seen: seen.flat(),
    clientsUntold: open.filter(({ flow, probe }) => !flow.clientTold && probe?.refused !== true).length,
    boardsUntold: order.atOnce === true ? 0 : open.filter(({ flow }) => !flow.boardTold).length,
  };
}

function byRequest(one: ServiceFlow, other: ServiceFlow): number {
  return Number(one.inRequest) - Number(other.inRequest);
}

/** Returns those of which an end did not answer. */
async function endAll(
  plan: RoutedPlan,
  order: CutOrder,
  flows: readonly ServiceFlow[],
  seen: ServiceFlow[][],
  signal: AbortSignal,
): Promise<Ending[]> {
  const beganMs = systemClock.monotonic();
  const open = new Map(flows.map((flow) => [flow.id, begin(flow, beganMs)]));
  const { closedBit, clientGoneBit, boardToldBit } = marksIn(plan.markMask);
  const ends = closedBit | clientGoneBit | (order.atOnce === true ? 0 : boardToldBit);
  try {
    const deadline = beganMs + askAgainMs * rounds;
    for (let waitMs = lookAgainMs; open.size > 0 && systemClock.monotonic() < deadline; ) {
      await systemClock.sleep(waitMs, signal);
      waitMs = Math.min(maxLookAgainMs, waitMs * 2);
      const ended = await follow(plan, order, open, signal);
      if (ended.length > 0) {
        // A client that begins anew from the same port waits for the old flow to be forgotten.
        seen.push(ended, await forgetFlows(plan, order.board, { bits: ends, mask: ends }));
      }
    }
  } finally {
    for (const { probe } of open.values()) probe?.end();
  }
  return [...open.values()];
}

function begin(flow: ServiceFlow, beganMs: number): Ending {
  return { flow, beganMs, probe: undefined, clientAskedMs: beganMs, boardAskedMs: 0, confirming: false };
}

/** Takes out the flows that are over, and goes a step further with the others. Returns the former as they were last seen. */
async function follow(
  plan: RoutedPlan,
  order: CutOrder,
  open: Map<number, Ending>,
  signal: AbortSignal,
): Promise<ServiceFlow[]> {
  const known = new Map((await flowsOf(plan, order.board, signal)).map((flow) => [flow.id, flow]));
  const nowMs = systemClock.monotonic();
  const ended: ServiceFlow[] = [];
  for (const [id, ending] of open) {
    ending.flow = known.get(id) ?? ending.flow;
    if (!known.has(id) || isOver(ending, order)) {
      ending.probe?.end();
      open.delete(id);
      ended.push(ending.flow);
    } else askClient(ending, nowMs);
  }
  if (order.atOnce !== true) {
    const due = [...open.values()].filter((ending) => boardIsDue(ending, nowMs));
    for (const ending of due) ending.boardAskedMs = nowMs;
    const questions = due.map(({ flow }) => ({ flow, of: "board", mayClose: false }) as const);
    await ask(plan, order, questions, signal);
  }
  return ended;
}

/** An end that is over by itself counts, and so does a client whose own answer reached the host (kernels before 6.3). */
function isOver({ flow, probe }: Ending, { atOnce }: CutOrder): boolean {
  if (flow.over) return true;
  return (flow.clientGone || probe?.refused === true) && (flow.boardTold || atOnce === true);
}

function askClient(ending: Ending, nowMs: number): void {
  const silentMs = nowMs - ending.clientAskedMs;
  const confirms = ending.flow.clientTold && !ending.confirming && silentMs >= confirmAfterMs;
  if (!confirms && silentMs < askAgainMs) return;
  ending.confirming ||= confirms;
  ending.clientAskedMs = nowMs;
  ending.probe?.end();
  ending.probe = new OpenProbe(synToClient(ending.flow));
}

function boardIsDue({ flow, beganMs, boardAskedMs }: Ending, nowMs: number): boolean {
  return !flow.boardTold && nowMs - beganMs >= askBoardAfterMs && nowMs - boardAskedMs >= askAgainMs;
}
