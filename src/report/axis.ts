/** Scales of a chart: where a time lies, which times are written below it, and how long an answer's time reaches up. */

export interface TimeAxis {
  readonly from: number;
  readonly to: number;
  /** Percent from the left, 0 to 100, as text for an attribute. */
  readonly x: (at: number) => string;
  readonly ticks: readonly { readonly at: number; readonly label: string }[];
}

const secondMs = 1000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;
const sixtieths = [1, 2, 5, 10, 15, 30];
const steps = [
  [1, 2, 5, 10, 20, 50, 100, 200, 500],
  sixtieths.map((seconds) => seconds * secondMs),
  sixtieths.map((minutes) => minutes * minuteMs),
  [1, 2, 4, 8, 24, 48, 24 * 7, 24 * 30, 24 * 365].map((hours) => hours * hourMs),
].flat();
const mostTicks = 6;
const leastSpanMs = 10;

/** @param zero the time that the labels count from. */
export function timeAxis(from: number, to: number, zero = from): TimeAxis {
  const spanMs = Math.max(leastSpanMs, to - from);
  const step = steps.find((candidate) => spanMs / candidate <= mostTicks) ?? spanMs;
  const ticks: { at: number; label: string }[] = [];
  for (let after = Math.ceil((from - zero) / step) * step; after <= from + spanMs - zero; after += step)
    ticks.push({ at: zero + after, label: afterText(after, step) });
  const x = (at: number): string =>
    `${(((Math.min(Math.max(at, from), from + spanMs) - from) / spanMs) * 100).toFixed(3)}%`;
  return { from, to: from + spanMs, x, ticks };
}

/** Time after the zero, in the unit of the step. */
function afterText(ms: number, stepMs: number): string {
  if (ms === 0) return "0";
  const [unitMs, unit] =
    stepMs >= hourMs
      ? [hourMs, "h"]
      : stepMs >= minuteMs
        ? [minuteMs, "min"]
        : stepMs >= secondMs
          ? [secondMs, "s"]
          : [1, "ms"];
  return `${ms < 0 ? "−" : ""}${Number((Math.abs(ms) / unitMs).toFixed(2))} ${unit}`;
}

export interface LatencyAxis {
  /** From the top, 0 to 100. */
  readonly y: (ms: number) => number;
  readonly ticks: readonly number[];
  readonly logarithmic: boolean;
}

/** A few slow answers among many quick ones: both can only be read on a logarithmic scale. */
const wideRange = 20;

/** @param values milliseconds, at least one. */
export function latencyAxis(values: readonly number[]): LatencyAxis {
  const sorted = values.toSorted((one, other) => one - other);
  const median = sorted[Math.floor(sorted.length / 2)] ?? 1;
  const highest = Math.max(0.1, sorted.at(-1) ?? 1);
  if (highest / Math.max(0.01, median) > wideRange) return logarithmicAxis(sorted[0] ?? 0, highest);
  const step = niceStep(highest / 3);
  const top = Math.ceil(highest / step) * step;
  const ticks: number[] = [];
  for (let tick = 0; tick <= top + step / 2; tick += step) ticks.push(Number(tick.toPrecision(6)));
  return { y: (ms) => 100 - (Math.min(Math.max(ms, 0), top) / top) * 100, ticks, logarithmic: false };
}

function logarithmicAxis(lowest: number, highest: number): LatencyAxis {
  const bottom = Math.floor(Math.log10(Math.max(0.1, lowest)));
  const top = Math.max(bottom + 1, Math.ceil(Math.log10(highest)));
  const ticks = Array.from({ length: top - bottom + 1 }, (_, index) =>
    Number((10 ** (bottom + index)).toPrecision(6)),
  );
  const y = (ms: number): number => {
    const power = Math.log10(Math.max(ms, 10 ** bottom));
    return 100 - ((Math.min(power, top) - bottom) / (top - bottom)) * 100;
  };
  return { y, ticks, logarithmic: true };
}

/** 1, 2 or 5 times a power of ten, not below `atLeast`. */
function niceStep(atLeast: number): number {
  const power = 10 ** Math.floor(Math.log10(atLeast));
  return ([1, 2, 5, 10].find((factor) => factor * power >= atLeast) ?? 10) * power;
}
