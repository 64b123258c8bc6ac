/** The drain where nobody tracks flows: what a board had begun gets its answers out while it lingers; connections are reset by the new holder. */
import { setTimeout as sleep } from "node:timers/promises";
import type { DrainResult } from "../service.ts";
import type { DrainOrder } from "./wiring.ts";

/** What the old board has sent may be on its way through the host for so long after its linger. */
const settleMs = 30;
const nothingLeft = { left: 0, finished: 0, closedEarly: 0, cut: 0, services: {} } as const;

/** Resolves when the linger that began with the takeover is over, and what was on its way has arrived. Errors: the signal's reason. */
export async function waitOutLinger(
  lingerMs: number,
  { sinceMs, atOnce, onProgress }: DrainOrder,
  signal: AbortSignal,
): Promise<DrainResult> {
  const began = performance.now();
  onProgress?.(nothingLeft);
  signal.throwIfAborted();
  const wholeMs = lingerMs + settleMs;
  // The clock may have been set meanwhile.
  const leftMs = Math.min(wholeMs, Math.max(0, sinceMs + wholeMs - Date.now()));
  if (atOnce !== true && leftMs > 0)
    await sleep(leftMs, undefined, { signal }).catch(() => signal.throwIfAborted());
  return { ...nothingLeft, ms: performance.now() - began, remarks: [] };
}
