/** Durations and sizes as the configuration writes them: a number and its unit, always both. */

const durationUnitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const sizeUnitsBytes: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

function parse(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d{1,12}(?:\.\d{1,3})?) ?([A-Za-z]+)$/.exec(text);
  const unit = units[match?.[2] ?? ""];
  if (match?.[1] === undefined || unit === undefined) return undefined;
  const value = Number(match[1]) * unit;
  return Number.isSafeInteger(value) ? value : undefined;
}

/** `200ms`, `30s`, `2m`, `1h` → whole milliseconds; `undefined` if it is no duration. */
export function parseDurationMs(text: string): number | undefined {
  return parse(text, durationUnitsMs);
}

/** `512B`, `64KiB`, `256MiB`, `1GiB` → whole bytes; `undefined` if it is no size. */
export function parseSizeBytes(text: string): number | undefined {
  return parse(text, sizeUnitsBytes);
}
