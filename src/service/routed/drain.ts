/** The drain: the old board's flows are watched until none is left, or until their service's deadline cuts them. */
import type { BoardName } from "../../board/board.ts";
import { systemClock } from "../../system/clock.ts";
import type { NftSession } from "../../system/nft.ts";
import type { DrainProgress, DrainResult } from "../service.ts";
import { cutFlows } from "./cut.ts";
import { flowsLeft, type ServiceFlow } from "./flows.ts";
import type { RoutedPlan, RoutedService4 } from "./plan.ts";

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
  const seen = new Set<number>();
  const cut = new Set<number>();
  const dueMs = (service: RoutedService4): number =>
    order.atOnce === true ? 0 : order.sinceMs + service.drainMs;
  for (;;) {
    const flows = await flowsLeft(plan, order.board, signal);
    for (const { id } of flows) seen.add(id);
    const counts = countByService(plan, flows);
    order.onProgress?.({ services: counts, left: flows.length });
    if (flows.length === 0) break;
    const due = Math.min(...plan.services.filter(({ name }) => counts[name]?.left).map(dueMs));
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
  return { finished: seen.size - cut.size, cut: cut.size, ms: systemClock.monotonic() - started };
}

function countByService(plan: RoutedPlan, flows: readonly ServiceFlow[]): Record<string, { left: number }> {
  const counts = Object.fromEntries(plan.services.map(({ name }) => [name, { left: 0 }]));
  for (const { service } of flows) {
    const count = counts[service.name];
    if (count !== undefined) count.left += 1;
  }
  return counts;
}
