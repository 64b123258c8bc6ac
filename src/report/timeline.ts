/** The timeline of a story as a chart: who serves, each phase as a lane, the drain, the way back, and when no daemon was there. */
import type { PhaseRun } from "../upgrade/course.ts";
import type { Report } from "../upgrade/report.ts";
import type { Chart, Lane, LatencySeries, Mark, Span, Tone } from "./chart.ts";
import { spanText } from "./figures.ts";

/** Shown of what others measured before the story and after it, as a part of the story's length. */
const margin = 0.04;
const lensMs = 1000;
/** Fewer answers than this around the takeover show nothing. */
const lensPoints = 10;

export function timeline(report: Report, series: readonly LatencySeries[]): Chart {
  const { startedAt } = report;
  const to = endOf(report);
  const beyond = series.length === 0 ? 0 : (to - startedAt) * margin;
  return {
    from: startedAt - beyond,
    to: to + beyond,
    zero: startedAt,
    lanes: [
      serviceLane(report, startedAt - beyond, to + beyond),
      ...phaseLanes(report),
      ...otherLanes(report),
    ],
    marks: marksOf(report),
    series: [...series, ...checkSeries(report)],
  };
}

/** The moment that counts, from near; `undefined` where nobody measured closely. */
export function aroundTakeover(report: Report, series: readonly LatencySeries[]): Chart | undefined {
  const { movedAt } = report.service;
  if (movedAt === null) return undefined;
  const [from, to] = [movedAt - lensMs, movedAt + lensMs];
  const seen = series.flatMap(({ points }) => points).filter(([at]) => at >= from && at <= to);
  if (seen.length < lensPoints) return undefined;
  const lanes = [
    serviceLane(report, from, to),
    ...otherLanes(report).filter(({ name }) => name.startsWith("drain")),
  ];
  return { from, to, zero: movedAt, lanes, marks: marksOf(report), series };
}

function endOf({ startedAt, endedAt, updatedAt, phases, recoveries }: Report): number {
  return Math.max(
    startedAt,
    endedAt ?? updatedAt,
    ...phases.map((run) => run.endedAt ?? run.startedAt),
    ...recoveries.map(({ at }) => at),
  );
}

/** Who holds the service, from `from` to `to`. */
function serviceLane(report: Report, from: number, to: number): Lane {
  const { service, from: old, to: fresh } = report;
  const spans: Span[] = [];
  const add = (
    who: { readonly board: "a" | "b" | null; readonly version: string | null },
    begin: number,
    end: number,
  ): void => {
    if (who.board === null || end < begin) return;
    spans.push({ from: begin, to: end, tone: who.board, label: `${who.board} · ${who.version ?? "?"}` });
  };
  // A failover begins when nobody serves any more.
  if (report.kind !== "failover") add(old, from, service.movedAt ?? to);
  if (service.movedAt !== null) add(fresh, service.movedAt, service.cameBackAt ?? to);
  if (service.cameBackAt !== null) add(old, service.cameBackAt, to);
  return { name: "in service", spans };
}

const tones: Readonly<Record<PhaseRun["end"], Tone>> = {
  done: "phase",
  undone: "undone",
  failed: "failed",
  interrupted: "interrupted",
  "under-way": "under-way",
};

/** The takeover is so short that its colour has to say which way it went. */
function toneOf({ phase, end }: PhaseRun, { to }: Report): Tone {
  return phase === "takeover" && (end === "done" || end === "undone") ? to.board : tones[end];
}

function phaseLanes(report: Report): Lane[] {
  const end = endOf(report);
  const names = [...new Set(report.phases.map(({ phase }) => phase))];
  return names.map((name) => {
    const runs = report.phases.filter(({ phase }) => phase === name);
    const spans = runs.map((run) => ({
      from: run.startedAt,
      to: run.endedAt ?? end,
      tone: toneOf(run, report),
    }));
    return { name, spans, value: valueOf(runs) };
  });
}

/** What was spent in all runs of a phase, and how the newest ended if it is not as it should: `12.0 s`, `12.0 s failed`. */
function valueOf(runs: readonly PhaseRun[]): string {
  const newest = runs.at(-1);
  const spent = runs.reduce((sum, { ms }) => sum + (ms ?? 0), 0);
  const plain = newest === undefined || newest.end === "done" || newest.end === "undone";
  return `${spanText(spent)}${plain ? "" : ` ${newest.end.replace("-", " ")}`}`;
}

function otherLanes({
  from,
  to: fresh,
  service,
  drain,
  backDrain,
  undo,
  recoveries,
  ...report
}: Report): Lane[] {
  const lanes: Lane[] = [];
  const drained = (name: string, at: number | null, ms: number | undefined): void => {
    if (at === null || ms === undefined) return;
    lanes.push({ name, spans: [{ from: at, to: at + ms, tone: "quiet" }], value: spanText(ms) });
  };
  drained(`drain of ${from.board ?? "?"}`, service.movedAt, drain?.ms);
  if (undo !== null) {
    const to = undo.endedAt ?? report.endedAt ?? report.updatedAt;
    const span = { from: undo.startedAt, to, tone: "quiet" as const };
    lanes.push({ name: "way back", spans: [span], value: spanText(Math.max(0, to - undo.startedAt)) });
  }
  drained(`drain of ${fresh.board}`, service.cameBackAt, backDrain?.ms);
  if (recoveries.length > 0) {
    const spans = recoveries.map(({ at, lastSeenAt }) => ({
      from: lastSeenAt,
      to: at,
      tone: "interrupted" as const,
    }));
    lanes.push({ name: "no daemon", spans, value: `${recoveries.length} ×` });
  }
  return lanes;
}

function marksOf({ service }: Report): Mark[] {
  const { movedAt, takeoverMs, cameBackAt } = service;
  const marks: Mark[] = [];
  if (movedAt !== null) {
    marks.push({
      at: movedAt,
      label: takeoverMs === null ? "takeover" : `takeover, ${spanText(takeoverMs)}`,
    });
  }
  if (cameBackAt !== null) marks.push({ at: cameBackAt, label: "taken back", bad: true });
  return marks;
}

/** The answers to each check, over all phases. */
function checkSeries({ checks }: Report): LatencySeries[] {
  const names = [...new Set(checks.map(({ name }) => name))];
  return names.map((name) => {
    const rows = checks.filter((check) => check.name === name);
    return {
      name: `check ${name}`,
      unit: "ms",
      points: rows.flatMap(({ points }) => points),
      failed: rows.flatMap(({ failedAt }) => failedAt),
    };
  });
}
