/** An upgrade with two boards beside one with a single board: the same stretch of time, the same load, the same scale. */
import type { Chart, Lane } from "../src/report/chart.ts";
import type { Section } from "../src/report/page.ts";
import { lastMoveOf } from "./act.ts";
import type { RequestRecord } from "./load/request.ts";
import { seriesOf } from "./load/series.ts";
import type { Acts } from "./report.ts";
import type { Traditional } from "./scenes/traditional.ts";

/** Shown before the stop, and as long before the takeover. */
const leadMs = 3000;
/** Answers further apart than this are not one bar. */
const apartMs = 250;

interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** The takeover and the stop side by side: equally long, answer times up to the same height. */
export function contrast({ committed, traditional }: Acts, records: readonly RequestRecord[]): Section[] {
  const movedAt = lastMoveOf(committed.records);
  if (movedAt === null) return [];
  const lengthMs = traditional.span.to - traditional.times.stop + leadMs;
  const drawn = seriesOf(traditional.records, traditional.span).flatMap(({ points }) => points);
  const slowest = Math.max(...drawn.map(([, ms]) => ms));
  const { from, to, outcome } = committed.result;
  const around: Stretch = { from: movedAt - leadMs, to: movedAt - leadMs + lengthMs };
  return [
    {
      heading: "With two boards",
      paragraphs: [
        `The takeover of the upgrade ${from ?? ""} → ${to ?? ""}, ${outcome}. What led up to it, the writing and the booting, no client saw.`,
      ],
      chart: {
        ...answers(records, around),
        marks: [{ at: movedAt, label: "takeover" }],
        zero: movedAt,
        scaleMs: [1, slowest],
      },
    },
    {
      heading: "With one board, in the same stretch of time",
      paragraphs: [traditionalText(traditional)],
      chart: stopChart(traditional, slowest),
    },
  ];
}

function traditionalText({ seen: { all } }: Traditional): string {
  const lost = all.failed + all.resets + all.deadlineResets;
  return (
    `Stop, install, boot: nobody answers for ${(all.longestGapMs / 1000).toFixed(1)} s, and ${lost} of ` +
    `${all.requests} requests get no answer. Those that do get one wait for it.`
  );
}

function stopChart({ times, span, records }: Traditional, slowest: number): Chart {
  const { stop, write, boot, ready } = times;
  const drawn = answers(records, { from: stop - leadMs, to: span.to });
  return {
    ...drawn,
    lanes: [
      ...drawn.lanes,
      step("stop", stop, write),
      step("install", write, boot),
      step("boot", boot, ready),
    ],
    marks: [
      { at: stop, label: "stopped", bad: true },
      { at: ready, label: "ready" },
    ],
    zero: stop,
    scaleMs: [1, slowest],
  };
}

function step(name: string, from: number, to: number): Lane {
  return { name, spans: [{ from, to, tone: "phase" }], value: `${(to - from).toFixed(0)} ms` };
}

/** Which version answered new connections when, and how fast. */
function answers(records: readonly RequestRecord[], stretch: Stretch): Omit<Chart, "marks"> & { marks: [] } {
  const inside = records.filter(({ endedAt }) => endedAt >= stretch.from && endedAt < stretch.to);
  const versions = [...new Set(inside.map(({ version }) => version).filter((version) => version !== null))];
  const lanes = versions.toSorted().map((version, index): Lane => {
    const times = inside
      .filter((record) => record.version === version && record.outcome === "ok" && record.kind === "quick")
      .map(({ endedAt }) => endedAt);
    const spans = barsOf(times).map((bar) => ({
      ...bar,
      tone: index === 0 ? ("a" as const) : ("b" as const),
    }));
    return { name: `${version} answers`, spans };
  });
  return { ...stretch, lanes, marks: [], series: seriesOf(records, stretch) };
}

function barsOf(times: readonly number[]): Stretch[] {
  const bars: { from: number; to: number }[] = [];
  for (const at of times.toSorted((one, other) => one - other)) {
    const last = bars.at(-1);
    if (last !== undefined && at - last.to <= apartMs) last.to = at;
    else bars.push({ from: at, to: at });
  }
  return bars;
}
