/**
 * A chart over a true time axis: lanes with bars, what was measured below them, and marks through both. Shapes are SVG in percent of the
 * width, words are HTML beside them, so that it is as legible on a telephone as on paper.
 */
import { latencyAxis, type TimeAxis, timeAxis } from "./axis.ts";
import { spanText } from "./figures.ts";
import { type Content, html, Markup } from "./markup.ts";

/** How a bar looks: *a* and *b* are the boards, *phase* is plain, *quiet* is what accompanies something, the rest tells how it ended. */
export type Tone = "a" | "b" | "phase" | "quiet" | "undone" | "failed" | "interrupted" | "under-way";

export interface Span {
  /** Milliseconds since 1970. */
  readonly from: number;
  readonly to: number;
  readonly tone: Tone;
  /** Written over the bar's beginning, a word or two. */
  readonly label?: string;
}

export interface Lane {
  readonly name: string;
  readonly spans: readonly Span[];
  /** At the right: a duration, or how it ended. */
  readonly value?: string;
}

export interface Mark {
  readonly at: number;
  readonly label: string;
  readonly bad?: boolean;
}

/** Answer times over time, from whatever asked. */
export interface LatencySeries {
  readonly name: string;
  readonly unit: "ms";
  /** When it was asked (milliseconds since 1970), and how long the answer took. Any number of them: of neighbours the slowest is drawn. */
  readonly points: readonly (readonly [at: number, ms: number])[];
  /** When it was asked without success. */
  readonly failed: readonly number[];
}

export interface Chart {
  readonly from: number;
  readonly to: number;
  /** The time that the axis counts from; `from` if absent. */
  readonly zero?: number;
  readonly lanes: readonly Lane[];
  readonly marks: readonly Mark[];
  readonly series: readonly LatencySeries[];
  /** Answer times that the scale has room for, though none was measured here: two charts with the same ones can be compared. */
  readonly scaleMs?: readonly number[];
}

const laneHeight = 26;
const barHeight = 14;
const latencyHeight = 132;
/** Cells of the width in which only the slowest answer is drawn. */
const cells = 480;
/** In this many colours; the next series begins with the first again. */
const seriesColours = 4;

export function chartMarkup(chart: Chart): Markup {
  const axis = timeAxis(chart.from, chart.to, chart.zero);
  const marks = chart.marks.filter(({ at }) => at >= axis.from && at <= axis.to);
  const series = chart.series
    .map((one) => within(one, axis))
    .filter(({ points, failed }) => points.length + failed.length > 0);
  return html`<div class="chart">
<div></div>${marksMarkup(axis, marks)}<div></div>
${lanesMarkup(axis, chart.lanes, marks)}
${series.length === 0 ? "" : latencyMarkup(axis, series, marks, chart.scaleMs)}
<div></div>${ticksMarkup(axis)}<div></div>
${series.length === 0 ? "" : legendMarkup(series)}
</div>
`;
}

const px = (value: number): string => Number(value.toFixed(1)).toString();

/** A label at a place: it grows to the left where there is no room at the right. */
function labelAt(axis: TimeAxis, at: number, label: string, attributes: Markup): Markup {
  const late = (at - axis.from) / (axis.to - axis.from) > 0.6;
  return html`<text x="${axis.x(at)}" dx="${late ? "-5" : "5"}" text-anchor="${late ? "end" : "start"}" ${attributes}>${label}</text>`;
}

function marksMarkup(axis: TimeAxis, marks: readonly Mark[]): Markup {
  const height = marks.length * 15 + 3;
  const labels = marks.map(({ at, label, bad }, row) => {
    const y = row * 15 + 12;
    const tone = bad === true ? "bad" : "mark";
    return html`<line x1="${axis.x(at)}" x2="${axis.x(at)}" y1="${y - 9}" y2="${height}" class="${tone}"/>${labelAt(axis, at, label, html`y="${y}" class="${tone}"`)}`;
  });
  return html`<svg class="marks" width="100%" height="${height}" aria-hidden="true">${labels}</svg>`;
}

function gridMarkup(axis: TimeAxis, height: number): Markup[] {
  return axis.ticks.map(
    ({ at }) => html`<line x1="${axis.x(at)}" x2="${axis.x(at)}" y1="0" y2="${height}" class="grid"/>`,
  );
}

function throughMarkup(axis: TimeAxis, marks: readonly Mark[], height: number): Markup[] {
  return marks.map(
    ({ at, bad }) =>
      html`<line x1="${axis.x(at)}" x2="${axis.x(at)}" y1="0" y2="${height}" class="${bad === true ? "bad" : "mark"}"/>`,
  );
}

function lanesMarkup(axis: TimeAxis, lanes: readonly Lane[], marks: readonly Mark[]): Markup {
  const height = lanes.length * laneHeight;
  const bars = lanes.map(({ spans }, row) =>
    spans
      .filter(({ from, to }) => to >= axis.from && from <= axis.to)
      .map((span) => barMarkup(axis, span, row * laneHeight + (laneHeight - barHeight) / 2)),
  );
  const told = lanes.map(({ name, value }) => (value === undefined ? name : `${name} ${value}`)).join("; ");
  return html`<div class="names" aria-hidden="true">${lanes.map(({ name }) => html`<div>${name}</div>`)}</div>
<svg class="lanes" width="100%" height="${height}" role="img" aria-label="${told}">${gridMarkup(axis, height)}${throughMarkup(axis, marks, height)}${bars}</svg>
<div class="values" aria-hidden="true">${lanes.map(({ value }) => html`<div>${value ?? " "}</div>`)}</div>`;
}

/** The axis is true, so what is short is thin: an edge of three pixels at its beginning keeps it in sight. */
function barMarkup(axis: TimeAxis, { from, to, tone, label }: Span, y: number): Markup {
  const start = axis.x(from);
  const width = `${Math.max(0, Number.parseFloat(axis.x(to)) - Number.parseFloat(start)).toFixed(3)}%`;
  const edge = html`<line x1="${start}" x2="${start}" y1="${y}" y2="${y + barHeight}" class="edge ${tone}"/>`;
  // In a drawing of its own, which cuts off what is longer than the bar.
  const text =
    label === undefined
      ? ""
      : html`<svg x="${start}" y="${y}" width="${width}" height="${barHeight}" class="cut"><title>${label}</title><text x="6" y="${barHeight - 3}" class="in">${label}</text></svg>`;
  return html`<rect x="${start}" y="${y}" width="${width}" height="${barHeight}" class="bar ${tone}"/>${from < axis.from ? "" : edge}${text}`;
}

function ticksMarkup(axis: TimeAxis): Markup {
  const labels = axis.ticks.map(({ at, label }, index) => {
    const share = (at - axis.from) / (axis.to - axis.from);
    const anchor = share < 0.04 ? "start" : share > 0.96 ? "end" : "middle";
    return html`<text x="${axis.x(at)}" y="14" text-anchor="${anchor}" class="tick${index % 2 === 1 ? " odd" : ""}">${label}</text>`;
  });
  return html`<svg class="ticks" width="100%" height="18" aria-hidden="true">${labels}</svg>`;
}

function within({ name, unit, points, failed }: LatencySeries, { from, to }: TimeAxis): LatencySeries {
  return {
    name,
    unit,
    points: points.filter(([at]) => at >= from && at <= to),
    failed: failed.filter((at) => at >= from && at <= to),
  };
}

/** Of each cell of the width the slowest answer. */
function slowestOfCells(
  points: LatencySeries["points"],
  axis: TimeAxis,
): (readonly [x: number, ms: number])[] {
  const slowest = new Map<number, readonly [x: number, ms: number]>();
  for (const [at, ms] of points) {
    const share = (at - axis.from) / (axis.to - axis.from);
    const cell = Math.min(cells - 1, Math.floor(share * cells));
    const known = slowest.get(cell);
    if (known === undefined || ms > known[1]) slowest.set(cell, [share * 1000, ms]);
  }
  return [...slowest.values()].toSorted(([one], [other]) => one - other);
}

function latencyMarkup(
  axis: TimeAxis,
  series: readonly LatencySeries[],
  marks: readonly Mark[],
  scaleMs: readonly number[] = [],
): Markup {
  const drawn = series.map(({ points }) => slowestOfCells(points, axis));
  const values = [...drawn.flat().map(([, ms]) => ms), ...scaleMs];
  const { y, ticks, logarithmic } = latencyAxis(values.length === 0 ? [1] : values);
  const scale = ticks.map((ms) => html`<span style="top:${px(y(ms))}%">${String(ms)}</span>`);
  const lines = ticks.map(
    (ms) => html`<line x1="0" x2="1000" y1="${px(y(ms))}" y2="${px(y(ms))}" class="grid"/>`,
  );
  const failures = series.map(({ failed }) =>
    [...new Set(failed.map((at) => axis.x(at)))].map(
      (x) => html`<line x1="${x}" x2="${x}" y1="-11" y2="-2" class="failure"/>`,
    ),
  );
  const unit = logarithmic ? "ms, logarithmic" : "ms";
  return html`<div class="scale" style="height:${latencyHeight}px" aria-hidden="true">${scale}</div>
<svg class="latency" width="100%" height="${latencyHeight}" role="img" aria-label="answer times in milliseconds">${gridMarkup(axis, latencyHeight)}
<svg viewBox="0 0 1000 100" preserveAspectRatio="none" width="100%" height="100%" overflow="visible">${lines}${drawn.map(dotsMarkup)}</svg>
${failures}${throughMarkup(axis, marks, latencyHeight)}</svg>
<div class="unit">${unit}</div>`;

  /** Strokes of no length with round ends: dots that stay round however the drawing is stretched. */
  function dotsMarkup(points: readonly (readonly [x: number, ms: number])[], index: number): Content {
    if (points.length === 0) return "";
    const path = points.map(([x, ms]) => `M${px(x)} ${px(y(ms))}h0`).join("");
    return html`<path d="${new Markup(path)}" class="dots s${index % seriesColours}"/>`;
  }
}

function legendMarkup(series: readonly LatencySeries[]): Markup {
  const entries = series.map(({ name, points, failed }, index) => {
    const slowest = points.reduce((most, [, ms]) => Math.max(most, ms), 0);
    const failures = failed.length === 0 ? "" : html`, <b>${failed.length} failed</b>`;
    return html`<span><i class="s${index % seriesColours}"></i>${name}: slowest ${spanText(slowest)}${failures}</span>`;
  });
  return html`<div class="legend">${entries}</div>`;
}
