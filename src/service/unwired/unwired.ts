/**
 * No wiring: the boards' service cards lead nowhere, because nothing of the network is moved. The register alone says who holds, and the
 * services that are leased follow it.
 */
import { systemClock } from "../../system/clock.ts";
import type { DrainOrder, Wiring, WiringTable, WiringTrouble } from "../network/wiring.ts";
import type { DrainResult } from "../service.ts";

const nothing = (): Promise<void> => Promise.resolve();

/** Of the table of the inet family; `cards` is there. */
const rules = `
chain speak {
  type filter hook prerouting priority raw; policy accept;
  iifname @cards drop
}
chain hear {
  type filter hook postrouting priority filter; policy accept;
  oifname @cards drop
}`;

export class UnwiredWiring implements Wiring {
  readonly families = ["inet"] as const;
  readonly checkHost = nothing;
  readonly open = nothing;
  readonly attach = nothing;
  readonly prepare = nothing;
  readonly announce = nothing;
  readonly release = nothing;
  readonly mend = nothing;
  readonly close = nothing;

  tables(): Promise<WiringTable[]> {
    return Promise.resolve([{ family: "inet", rules, elements: () => "" }]);
  }

  takeover(): string[] {
    return [];
  }

  shut(): string[] {
    return [];
  }

  troubles(): Promise<WiringTrouble[]> {
    return Promise.resolve([]);
  }

  wireObstacle(): Promise<null> {
    return Promise.resolve(null);
  }

  watchWire(): () => void {
    return () => undefined;
  }

  drain(order: DrainOrder): Promise<DrainResult> {
    const began = systemClock.monotonic();
    const progress = { left: 0, finished: 0, closedEarly: 0, cut: 0, services: {} };
    order.onProgress?.(progress);
    return Promise.resolve({ ...progress, ms: systemClock.monotonic() - began, remarks: [] });
  }
}
