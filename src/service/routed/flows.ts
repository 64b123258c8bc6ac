/** The flows of one board's services, out of the kernel's table. */
import type { BoardName } from "../../board/board.ts";
import { listTcpFlows, type TcpFlow } from "../../system/conntrack.ts";
import { familyOf } from "./family.ts";
import { boardEndBit, boardMark, boardMask, clientEndBit, closedBit, serviceMask } from "./marks.ts";
import { linkedFamilies, type PlannedService, type RoutedPlan } from "./plan.ts";

export interface ServiceFlow extends TcpFlow {
  readonly service: PlannedService;
}

/** States in which nobody waits for anything more: both ends have closed, or one has reset the flow. */
const endStates: ReadonlySet<string> = new Set(["TIME_WAIT", "CLOSE", "NONE"]);

/** Flows of `board` that are not over, those that are being closed included. */
export async function flowsLeft(
  plan: RoutedPlan,
  board: BoardName,
  signal: AbortSignal,
): Promise<ServiceFlow[]> {
  const left: ServiceFlow[] = [];
  for (const { family } of linkedFamilies(plan)) {
    for (const flow of await listTcpFlows(family.name, boardMark[board], boardMask, signal)) {
      const service = serviceOf(plan, board, flow);
      if (service !== undefined && !isOver(flow)) left.push({ ...flow, service });
    }
  }
  return left;
}

function isOver(flow: TcpFlow): boolean {
  return isClosed(flow) ? clientKnows(flow) && boardKnows(flow) : endStates.has(flow.state);
}

function serviceOf(plan: RoutedPlan, board: BoardName, flow: TcpFlow): PlannedService | undefined {
  // The board's address too: another system of this host marks its flows alike.
  const links = plan.links[familyOf(flow.answeredBy).name];
  if ((flow.mark & serviceMask) === 0 || flow.answeredBy !== links?.[board]) return undefined;
  return plan.services.find(
    ({ address, port }) => flow.destination === address && flow.destinationPort === port,
  );
}

/** Cut: whatever comes is answered by a reset. */
export function isClosed(flow: TcpFlow): boolean {
  return (flow.mark & closedBit) !== 0;
}

export function clientKnows(flow: TcpFlow): boolean {
  return (flow.mark & clientEndBit) !== 0;
}

export function boardKnows(flow: TcpFlow): boolean {
  return (flow.mark & boardEndBit) !== 0;
}
