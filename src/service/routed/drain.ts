/** The drain: the old board's flows are watched until none is left, or until their service's deadline cuts them. */
import type { BoardName } from "../../board/board.ts";
import { systemClock } from "../../system/clock.ts";
import type { NftSession } from "../../system/nft.ts";
import type { DrainCounts, DrainProgress, DrainResult } from "../service.ts";
import { cutFlows } from "./cut.ts";
import { flowsLeft } from "./flows.ts";
import type { PlannedService, RoutedPlan } from "./plan.ts";

export interface DrainOrder {
  readonly board: BoardName;
  /** The table's epoch when the drain began; a drain of another time cuts nothing. */
  readonly epoch: number;
  /** Epoch time in milliseconds of the takeover. */
  readonly sinceMs: number;
  readonly atOnce?: boolean;
  readonly onProgress?: (progress: DrainProgress) => void;
}

const watchMs = 250;
/** The last look before a deadline, so that at the deadline nothing is left to be found out. */
const lookAheadMs = 60;

/** Errors: `command-failed`, `deadline-passed`; the signal's reason. Repeatable: the kernel knows what is left. */
export async function drainFlows(
  plan: RoutedPlan,
  nft: NftSession,
  order: DrainOrder,
  signal: AbortSignal,
): Promise<DrainResult> {
  const started = systemClock.monotonic();
  const flowsSeen = new Map<number, string>();
  const cut = new Set<number>();
  const dueMs = (service: PlannedService): number =>
    order.atOnce === true ? 0 : order.sinceMs + service.drainMs;
  for (;;) {
    const flows = await flowsLeft(plan, order.board, signal);
    for (const { id, service } of flows) flowsSeen.set(id, service.name);
    const left = new Set(flows.map(({ id }) => id));
    const progress = progressOf(plan, flowsSeen, left, cut);
    order.onProgress?.(progress);
    if (left.size === 0) return { ...progress, ms: systemClock.monotonic() - started, remarks: [] };
    const due = Math.min(...flows.map(({ service }) => dueMs(service)));
    const restMs = due - systemClock.now();
    if (restMs > lookAheadMs) {
      await systemClock.sleep(Math.min(watchMs, restMs - lookAheadMs), signal);
      continue;
    }
    await systemClock.sleep(Math.max(0, restMs), signal);
    const late = flows.filter(({ service }) => dueMs(service) <= due);
    for (const { id } of late) cut.add(id);
    await cutFlows(plan, nft, order, late, signal);
  }
}

function progressOf(
  plan: RoutedPlan,
  flowsSeen: ReadonlyMap<number, string>,
  left: ReadonlySet<number>,
  cut: ReadonlySet<number>,
): DrainProgress {
  const count = (ids: readonly number[]): DrainCounts => {
    const leftNow = ids.filter((id) => left.has(id)).length;
    const cutNow = ids.filter((id) => !left.has(id) && cut.has(id)).length;
    return { left: leftNow, finished: ids.length - leftNow - cutNow, closedEarly: 0, cut: cutNow };
  };
  const idsOf = (name: string): number[] =>
    [...flowsSeen].filter(([, service]) => service === name).map(([id]) => id);
  const services = Object.fromEntries(plan.services.map(({ name }) => [name, count(idsOf(name))]));
  return { ...count([...flowsSeen.keys()]), services };
}
