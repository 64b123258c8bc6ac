/**
 * The cut: what is left of a drained board's flows is reset on both ends, at once, also where nobody would speak.
 *
 * From the moment at which a flow's board and service are in the set `cut`, the kernel answers whatever comes with a reset. A silent
 * client is made to speak by an ordinary TCP connection into the flow's own 4-tuple: a SYN into an established connection draws an
 * ACK with the exact sequence numbers (RFC 5961, section 4), which the rules answer with an exact reset. A second SYN finds the
 * client without the flow and draws a reset, which the rules turn into a SYN for the board; the board's ACK is answered likewise.
 */
import { setImmediate } from "node:timers/promises";
import type { BoardName } from "../../board/board.ts";
import { systemClock } from "../../system/clock.ts";
import { forgetTcpFlows } from "../../system/conntrack.ts";
import type { NftSession } from "../../system/nft.ts";
import { cutOff } from "./elements.ts";
import { boardKnows, clientKnows, flowsLeft, isClosed, type ServiceFlow } from "./flows.ts";
import { boardEndBit, boardMask, clientEndBit, closedBit, serviceMask } from "./marks.ts";
import type { RoutedPlan } from "./plan.ts";
import { Probe } from "./probe.ts";

export interface CutOrder {
  readonly board: BoardName;
  readonly epoch: number;
  /** The board is dead or failed: once its client knows, a flow is done. */
  readonly atOnce?: boolean;
}

/** Probes under way at once: each is a socket of the daemon. */
const batchFlows = 1000;
/** A client answers one stray SYN of a connection in 500 ms (tcp_invalid_ratelimit, ip-sysctl.rst). */
const probeAgainMs = 600;
const probeRounds = 3;
/** Before the second SYN: a client that begins anew from the same port at once shall have done so, or the two would cross. */
const confirmAfterMs = 50;
const flowMask = serviceMask | boardMask;
const lookAgainMs = 5;
const maxLookAgainMs = 50;

/** Errors: `command-failed` (with another epoch, as when the board holds again, nothing is cut); the signal's reason. */
export async function cutFlows(
  plan: RoutedPlan,
  nft: NftSession,
  order: CutOrder,
  flows: readonly ServiceFlow[],
  signal: AbortSignal,
): Promise<void> {
  const marks = marksOf(flows);
  await nft.change(cutOff(plan, order.epoch, [...marks.keys()]));
  const probes = flows.filter(({ state }) => state !== "SYN_SENT").map((flow) => new Probe(flow));
  for (const batch of batches(probes)) await sendAll(batch);
  for (const batch of batches(probes)) await confirm(plan, order, batch, signal);
  // Who has said nothing by now is gone or shut off: whatever either end says later is answered by a reset all the same.
  // A handshake that the board never answered is forgotten too: the client's next SYN reaches the holder, and nothing is lost.
  for (const [mark, answeredBy] of marks) await forgetTcpFlows({ mark, mask: flowMask, answeredBy });
}

/** The first SYN, to every client before anything is waited for: its answer needs no socket here. */
async function sendAll(probes: readonly Probe[]): Promise<void> {
  for (const probe of probes) probe.send();
  await setImmediate();
  for (const probe of probes) probe.end();
}

/** Sees to it that each client was reset, and that the board is. */
async function confirm(
  plan: RoutedPlan,
  order: CutOrder,
  probes: readonly Probe[],
  signal: AbortSignal,
): Promise<void> {
  const open = new Map(probes.map((probe) => [probe.flow.id, probe]));
  try {
    const deadline = systemClock.monotonic() + probeAgainMs * probeRounds;
    for (let waitMs = lookAgainMs; open.size > 0 && systemClock.monotonic() < deadline; ) {
      await systemClock.sleep(waitMs, signal);
      waitMs = Math.min(maxLookAgainMs, waitMs * 2);
      const done = await follow(plan, order, open, signal);
      await forgetDone(order, done);
    }
  } finally {
    for (const probe of open.values()) probe.end();
  }
}

function batches<T>(all: readonly T[]): T[][] {
  const count = Math.ceil(all.length / batchFlows);
  return Array.from({ length: count }, (_, index) => all.slice(index * batchFlows, (index + 1) * batchFlows));
}

/** Takes out the probes that have done their work, and sends those again that can go a step further. */
async function follow(
  plan: RoutedPlan,
  order: CutOrder,
  probes: Map<number, Probe>,
  signal: AbortSignal,
): Promise<ServiceFlow[]> {
  const left = new Map((await flowsLeft(plan, order.board, signal)).map((flow) => [flow.id, flow]));
  const done: ServiceFlow[] = [];
  for (const [id, probe] of probes) {
    const flow = left.get(id);
    const clientDone = flow === undefined || clientKnows(flow) || probe.refused;
    if (flow === undefined || (clientDone && (boardKnows(flow) || order.atOnce === true))) {
      probe.end();
      probes.delete(id);
      done.push(probe.flow);
    } else if (isClosed(flow) && !probe.confirming) {
      if (probe.silentMs() < confirmAfterMs) continue;
      probe.confirming = true;
      probe.send();
    } else if (probe.silentMs() > probeAgainMs) {
      probe.send();
    }
  }
  return done;
}

/** A client that begins anew from the same port waits for the old flow to be forgotten. */
async function forgetDone(order: CutOrder, done: readonly ServiceFlow[]): Promise<void> {
  const ends = closedBit | clientEndBit | (order.atOnce === true ? 0 : boardEndBit);
  for (const [mark, answeredBy] of marksOf(done)) {
    await forgetTcpFlows({ mark: mark | ends, mask: flowMask | ends, answeredBy });
  }
}

/** Board and service of these flows → the board's address, of the service's family. */
function marksOf(flows: readonly ServiceFlow[]): Map<number, string> {
  return new Map(flows.map(({ mark, answeredBy }) => [mark & flowMask, answeredBy]));
}
