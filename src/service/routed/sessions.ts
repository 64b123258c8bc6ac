/**
 * The drain of UDP services whose flows are tracked (`flows: session`): each flow stays with the old board until the kernel has heard
 * nothing of it for its own time (`nf_conntrack_udp_timeout`), until it was quiet for as long as its service says, or until the service's
 * deadline. Then it is forgotten, and the client's next datagram begins it anew with the holder. There is no way to tell a client.
 */
import type { BoardName } from "../../board/board.ts";
import { systemClock } from "../../system/clock.ts";
import { type Flow, forgetFlowsWith, listFlows } from "../../system/conntrack.ts";
import { familyOf } from "../network/family.ts";
import type { DrainOrder } from "../network/wiring.ts";
import type { DrainProgress } from "../service.ts";
import { serviceFinder } from "./flows.ts";
import { marksIn } from "./marks.ts";
import { linkedFamilies, linksOf, type PlannedService, type RoutedPlan } from "./plan.ts";
import { Stillness } from "./stillness.ts";
import { type Drained, Tally } from "./tally.ts";

const pauseMs = 100;

interface Session extends Flow, Drained {
  readonly service: PlannedService;
}

/** Errors: `command-failed`, `deadline-passed`; the signal's reason. Repeatable: the kernel knows what is left. */
export async function drainSessions(
  plan: RoutedPlan,
  order: Omit<DrainOrder, "onProgress"> & { readonly onProgress: (progress: DrainProgress) => void },
  signal: AbortSignal,
): Promise<void> {
  const services = plan.services.filter(({ protocol }) => protocol === "udp");
  const tally = new Tally(services);
  // Every datagram says something.
  const stillness = new Stillness((flow, before) => flow.packets === before.packets);
  const restMs = ({ drainMs }: PlannedService): number =>
    order.atOnce === true ? 0 : order.sinceMs + drainMs - systemClock.now();
  for (;;) {
    const left = services.length === 0 ? [] : await sessionsOf(plan, services, order.board, signal);
    const nowMs = systemClock.monotonic();
    tally.note(left);
    stillness.note(left, nowMs);
    order.onProgress(tally.progress());
    if (left.length === 0) return;
    const isDue = ({ service }: Session): boolean => restMs(service) <= 0;
    for (const service of services.filter((one) => restMs(one) <= 0))
      tally.noteClosed(ended(await forgetAll(plan, service, order.board), false));
    // Of another number are those that began before the configuration was changed.
    const others = left.filter((flow) => isDue(flow) && !hasNumber(plan, flow));
    for (const flow of others) tally.noteClosed(ended(await forgetOne(plan, flow, order.board), false));
    const quiet = left.filter(
      (flow) => !isDue(flow) && stillness.stillMs(flow, nowMs) >= flow.service.quietMs,
    );
    for (const flow of quiet) tally.noteClosed(ended(await forgetOne(plan, flow, order.board), true));
    await systemClock.sleep(Math.min(pauseMs, ...services.map(restMs).filter((ms) => ms > 0)), signal);
  }
}

function hasNumber(plan: RoutedPlan, { mark, service }: Session): boolean {
  const { serviceMask, serviceMark } = marksIn(plan.markMask);
  return (mark & serviceMask) >>> 0 === serviceMark(plan.services.indexOf(service));
}

/** Those of this system, as `flows.ts` tells them: by their ends. */
async function sessionsOf(
  plan: RoutedPlan,
  services: readonly PlannedService[],
  board: BoardName,
  signal: AbortSignal,
): Promise<Session[]> {
  const marks = marksIn(plan.markMask);
  const serviceOf = serviceFinder(services);
  const found: Session[] = [];
  for (const { family, links } of linkedFamilies(plan)) {
    const ofBoard = { mark: marks.boardMark[board], mask: marks.boardMask };
    for (const flow of await listFlows("udp", family.name, ofBoard, signal)) {
      const service = serviceOf(flow);
      if (service === undefined || flow.answeredBy !== links[board]) continue;
      found.push({ ...flow, service, closed: false, early: false, over: false });
    }
  }
  return found;
}

function ended(flows: readonly Session[], early: boolean): Session[] {
  return flows.map((flow) => ({ ...flow, closed: true, early, over: true }));
}

async function forgetAll(plan: RoutedPlan, service: PlannedService, board: BoardName): Promise<Session[]> {
  const marks = marksIn(plan.markMask);
  const bits = marks.boardMark[board] | marks.serviceMark(plan.services.indexOf(service));
  return await forget(plan, service, board, { mark: bits, mask: marks.boardMask | marks.serviceMask });
}

async function forgetOne(plan: RoutedPlan, flow: Session, board: BoardName): Promise<Session[]> {
  const { source, sourcePort, service } = flow;
  const marks = marksIn(plan.markMask);
  const ofBoard = { mark: marks.boardMark[board], mask: marks.boardMask };
  return await forget(plan, service, board, { ...ofBoard, from: { source, sourcePort } });
}

async function forget(
  plan: RoutedPlan,
  service: PlannedService,
  board: BoardName,
  which: {
    readonly mark: number;
    readonly mask: number;
    readonly from?: Pick<Flow, "source" | "sourcePort">;
  },
): Promise<Session[]> {
  const answeredBy = linksOf(plan, familyOf(service.address))[board];
  const filter = { protocol: "udp", answeredBy, ...which } as const;
  const flows = await forgetFlowsWith(filter);
  return flows.map((flow) => ({ ...flow, service, closed: false, early: false, over: false }));
}
