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

/** Listing takes 30 ms when no flow is left of 100,000: 1 % of a core at this pace. */
const watchMs = 250;

/** Errors: `stale-epoch`, `command-failed`, `deadline-passed`; the signal's reason. Repeatable: the kernel knows what is left. */
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
    order.onProgress?.(progressOf(plan, flows));
    if (flows.length === 0) break;
    const now = systemClock.now();
    const late = flows.filter(({ service }) => dueMs(service) <= now);
    if (late.length > 0) {
      for (const { id } of late) cut.add(id);
      await cutFlows(plan, nft, order, late, signal);
      continue;
    }
    const next = Math.min(...flows.map(({ service }) => dueMs(service)));
    await systemClock.sleep(Math.max(1, Math.min(watchMs, next - now)), signal);
  }
  return { finished: seen.size - cut.size, cut: cut.size, ms: systemClock.monotonic() - started };
}

function progressOf(plan: RoutedPlan, flows: readonly ServiceFlow[]): DrainProgress {
  const services = Object.fromEntries(
    plan.services.map((service) => [
      service.name,
      { left: flows.filter((flow) => flow.service === service).length },
    ]),
  );
  return { services, left: flows.length };
}
