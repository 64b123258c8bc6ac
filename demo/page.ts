/** The demo's report as one HTML page: every story with the answer times of its clients, and the traditional way on the same scale. */
import { renderReports, type Section } from "../src/report/page.ts";
import { reportOf } from "../src/upgrade/report.ts";
import type { Act } from "./act.ts";
import { contrast } from "./contrast.ts";
import type { RequestRecord } from "./load/request.ts";
import { seriesOf } from "./load/series.ts";
import type { Acts, DemoReport } from "./report.ts";
import { factRows, phaseRows, storyRows } from "./tables.ts";

export interface DemoPage {
  readonly system: string;
  readonly acts: Acts;
  /** Of the whole load. */
  readonly records: readonly RequestRecord[];
  readonly report: DemoReport;
  readonly complaints: readonly string[];
}

export function demoPage(page: DemoPage): string {
  const { acts, report, complaints } = page;
  const { committed, rollback, failover, standby, takenBack, refused } = acts;
  const [head = [], ...rows] = storyRows(report);
  const [phaseHead = [], ...phases] = phaseRows(report);
  const story = (heading: string, act: Act): Section => storySection(page, heading, act);
  return renderReports("Twinboard demo", [
    { heading: verdict(complaints), paragraphs: [...complaints, summary(report)], table: { head, rows } },
    ...contrast(acts, page.records),
    story("An upgrade that is committed", committed),
    story("A rollback that somebody asks for", rollback),
    story("A board that is killed", failover),
    story("The other board is made ready again", standby),
    story("An upgrade that is taken back", takenBack),
    story("An upgrade that never gets ready", refused),
    { heading: "Other figures", table: { head: ["what", "measured"], rows: factRows(report) } },
    { heading: "Phases", table: { head: phaseHead, rows: phases } },
  ]);
}

function verdict(complaints: readonly string[]): string {
  return complaints.length === 0
    ? "Nobody noticed: no request failed, none was reset, and every outcome is as intended"
    : "Not as intended";
}

function summary({ load, failover, traditional }: DemoReport): string {
  const killed =
    failover.firstAnswerMs === null
      ? "nobody was answered after a board was killed"
      : `a board was killed, and new clients were answered after ${failover.firstAnswerMs.toFixed(0)} ms`;
  return (
    `${load.requests} requests, ${load.ipv4} of them over IPv4 and ${load.ipv6} over IPv6: ${load.failed} failed, ` +
    `${load.resets} were reset. Besides, ${killed}. One of these upgrades on a device with one board: no answer for ` +
    `${(traditional.downMs / 1000).toFixed(1)} s, and ${traditional.failed} of ${traditional.requests} requests failed.`
  );
}

function storySection({ system, records }: DemoPage, heading: string, act: Act): Section {
  return { report: reportOf(system, act.records), heading, series: seriesOf(records, act.span) };
}
