/** The flows of one board's services, out of the kernel's table, with what their marks say. */
import type { BoardName } from "../../board/board.ts";
import { forgetTcpFlows, listTcpFlows, type TcpFlow } from "../../system/conntrack.ts";
import { type Marks, marksIn } from "./marks.ts";
import { linkedFamilies, type PlannedService, type RoutedPlan } from "./plan.ts";

export interface ServiceFlow extends TcpFlow {
  readonly service: PlannedService;
  /** R; see `marks.ts` for all of these. */
  readonly inRequest: boolean;
  readonly unheard: boolean;
  /** TLS has begun so lately that `inRequest` cannot be believed when it is false. */
  readonly young: boolean;
  /** K: whatever comes is answered by a reset. */
  readonly closed: boolean;
  readonly early: boolean;
  readonly clientTold: boolean;
  readonly boardTold: boolean;
  readonly clientGone: boolean;
  /** Nobody waits for anything more. */
  readonly over: boolean;
}

/** States in which both ends have closed, or one has reset the flow. A reset of ours leads to CLOSE too, so K comes first. */
const endStates: ReadonlySet<string> = new Set(["TIME_WAIT", "CLOSE", "NONE"]);

/** All flows that the kernel knows of `board`, those that are over included. Errors: as `listTcpFlows`. */
export async function flowsOf(
  plan: RoutedPlan,
  board: BoardName,
  signal: AbortSignal,
): Promise<ServiceFlow[]> {
  const marks = marksIn(plan.markMask);
  const flows: ServiceFlow[][] = [];
  for (const { family, links } of linkedFamilies(plan)) {
    const found = await listTcpFlows(family.name, marks.boardMark[board], marks.boardMask, signal);
    flows.push(ofServices(plan, marks, links[board], found));
  }
  return flows.flat();
}

/** Forgets flows of `board` whose marks have these bits, and returns what they were. Errors: as `forgetTcpFlows`. */
export async function forgetFlows(
  plan: RoutedPlan,
  board: BoardName,
  { bits, mask, state }: { readonly bits: number; readonly mask: number; readonly state?: string },
): Promise<ServiceFlow[]> {
  const marks = marksIn(plan.markMask);
  const mark = marks.boardMark[board] | bits;
  const flows: ServiceFlow[][] = [];
  for (const { links } of linkedFamilies(plan)) {
    const answeredBy = links[board];
    const filter = { mark, mask: marks.boardMask | mask, answeredBy };
    const found = await forgetTcpFlows(state === undefined ? filter : { ...filter, state });
    flows.push(ofServices(plan, marks, answeredBy, found));
  }
  return flows.flat();
}

function key(address: string, port: number): string {
  return `${address} ${port}`;
}

/** Those of this system: another one of this host may mark its flows alike, but its boards have other addresses. */
function ofServices(
  plan: RoutedPlan,
  marks: Marks,
  answeredBy: string,
  flows: readonly TcpFlow[],
): ServiceFlow[] {
  const services = new Map(plan.services.map((service) => [key(service.address, service.port), service]));
  return flows.flatMap((flow) => {
    const service = services.get(key(flow.destination, flow.destinationPort));
    const ours = (flow.mark & marks.serviceMask) !== 0 && flow.answeredBy === answeredBy;
    return service === undefined || !ours ? [] : [{ ...flow, service, ...standing(flow, marks) }];
  });
}

function standing(flow: TcpFlow, marks: Marks): Omit<ServiceFlow, keyof TcpFlow | "service"> {
  const has = (bit: number): boolean => (flow.mark & bit) !== 0;
  const closed = has(marks.closedBit);
  const early = has(marks.earlyBit);
  const clientTold = has(marks.clientToldBit);
  const boardTold = has(marks.boardToldBit);
  const clientGone = has(marks.clientGoneBit);
  return {
    inRequest: has(marks.requestBit),
    unheard: has(marks.unheardBit),
    young: has(marks.youngMask),
    closed,
    early,
    clientTold,
    boardTold,
    clientGone,
    over: closed ? boardTold && (clientGone || (early && clientTold)) : endStates.has(flow.state),
  };
}
