/** Answer times of the load over time, as a chart takes them. */
import type { LatencySeries } from "../../src/report/chart.ts";
import { isKeptAlive } from "./plans.ts";
import type { RequestRecord } from "./request.ts";
import type { Span } from "./window.ts";

/** Downloads take their five seconds in any case, so their times say nothing; where one failed it is shown. */
export function seriesOf(
  records: readonly RequestRecord[],
  { from, to }: Pick<Span, "from" | "to">,
): LatencySeries[] {
  const inside = records.filter(({ scheduledAt }) => scheduledAt >= from && scheduledAt < to);
  const one = (name: string, wanted: (record: RequestRecord) => boolean): LatencySeries => {
    const mine = inside.filter(wanted);
    const good = mine.filter(({ outcome, kind }) => outcome === "ok" && kind !== "slow");
    return {
      name,
      unit: "ms",
      points: good.map(({ scheduledAt, endedAt }) => [scheduledAt, endedAt - scheduledAt] as const),
      failed: mine.filter(({ outcome }) => outcome !== "ok").map(({ scheduledAt }) => scheduledAt),
    };
  };
  return [
    one("new connections", (record) => !isKeptAlive(record)),
    one("kept-alive connections", isKeptAlive),
  ];
}
