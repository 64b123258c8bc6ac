/** The flows of one board's services, out of the kernel's table, with what their marks say. */
import type { BoardName } from "../../board/board.ts";
import { type Flow, forgetFlowsWith, listFlows } from "../../system/conntrack.ts";
import { type Marks, marksIn } from "./marks.ts";
import { type Endpoint, linkedFamilies, type PlannedService, type RoutedPlan } from "./plan.ts";

export interface ServiceFlow extends Flow {
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

/** All TCP flows that the kernel knows of `board`, those that are over included. Errors: as `listFlows`. */
export async function flowsOf(
  plan: RoutedPlan,
  board: BoardName,
  signal: AbortSignal,
): Promise<ServiceFlow[]> {
  const marks = marksIn(plan.markMask);
  const flows: ServiceFlow[][] = [];
  for (const { family, links } of linkedFamilies(plan)) {
    const ofBoard = { mark: marks.boardMark[board], mask: marks.boardMask };
    const found = await listFlows("tcp", family.name, ofBoard, signal);
    flows.push(ofServices(plan, marks, links[board], found));
  }
  return flows.flat();
}

/** Forgets TCP flows of `board` whose marks have these bits, and returns what they were. Errors: as `forgetFlowsWith`. */
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
    const filter = { protocol: "tcp", mark, mask: marks.boardMask | mask, answeredBy } as const;
    const found = await forgetFlowsWith(state === undefined ? filter : { ...filter, state });
    flows.push(ofServices(plan, marks, answeredBy, found));
  }
  return flows.flat();
}

/** Those of this system: another one of this host may mark its flows alike, but its boards have other addresses. */
function ofServices(
  plan: RoutedPlan,
  marks: Marks,
  answeredBy: string,
  flows: readonly Flow[],
): ServiceFlow[] {
  const serviceOf = serviceFinder(plan.services.filter(({ protocol }) => protocol === "tcp"));
  return flows.flatMap((flow) => {
    const service = serviceOf(flow);
    const ours = (flow.mark & marks.serviceMask) !== 0 && flow.answeredBy === answeredBy;
    return service === undefined || !ours ? [] : [{ ...flow, service, ...standing(flow, marks) }];
  });
}

/** By its ends and not by its number, which is another one when the configuration was changed since the flow began. */
export function serviceFinder<Service extends Endpoint>(
  services: readonly Service[],
): (flow: Pick<Flow, "destination" | "destinationPort">) => Service | undefined {
  const single = new Map(services.map((service) => [`${service.address} ${service.port}`, service]));
  const ranges = services.filter(({ lastPort }) => lastPort !== undefined);
  return ({ destination, destinationPort }) =>
    single.get(`${destination} ${destinationPort}`) ??
    ranges.find(
      ({ address, port, lastPort = port }) =>
        address === destination && port <= destinationPort && destinationPort <= lastPort,
    );
}

function standing(flow: Flow, marks: Marks): Omit<ServiceFlow, keyof Flow | "service"> {
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
