/** A plot of what was measured, as an SVG that stands alone: a row for each way, on a logarithmic scale that all share. */

export interface Plot {
  readonly title: string;
  readonly unit: string;
  readonly rows: readonly {
    readonly label: string;
    /** At least one, each above zero. */
    readonly values: readonly number[];
  }[];
}

const [width, left, right, top, rowHeight, bottom] = [760, 150, 40, 56, 44, 58] as const;
const marks = [
  { part: 0.5, name: "half" },
  { part: 0.99, name: "99 %" },
  { part: 0.999, name: "99.9 %" },
  { part: 1, name: "longest" },
] as const;
/** Of so few a part of a hundred is none: each is drawn. */
const few = 100;

/** Errors: `RangeError` for a row without values above zero. Of many values the line reaches from the shortest to the longest, with a mark at each part; of few each has its own mark. */
export function rangesPlot({ title, unit, rows }: Plot): string {
  const all = rows.flatMap(({ values }) => values);
  const [least, most] = all.reduce(
    ([low, high], value) => [Math.min(low, value), Math.max(high, value)],
    [Number.POSITIVE_INFINITY, 0],
  );
  if (!(least > 0)) throw new RangeError(`${title}: a value of ${least} has no place on a logarithmic scale`);
  const grid = scale(least, most);
  const [from, to] = [Math.log10(grid[0] ?? least), Math.log10(grid.at(-1) ?? most)];
  const x = (value: number): number =>
    left + ((Math.log10(value) - from) / (to - from)) * (width - left - right);
  const height = top + rows.length * rowHeight + bottom;
  const isMany = rows.some(({ values }) => values.length > few);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="13">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text x="16" y="28" font-size="16" font-weight="bold">${escaped(title)}</text>`,
    ...grid.flatMap((value) => [
      `<path d="M${x(value).toFixed(1)} ${top - 6}V${height - bottom}" stroke="#d5d9de"/>`,
      `<text x="${x(value).toFixed(1)}" y="${height - bottom + 18}" text-anchor="middle" fill="#555">${value} ${escaped(unit)}</text>`,
    ]),
    ...rows.flatMap((row, index) => rowOf(row, top + (index + 0.5) * rowHeight, x)),
    ...(isMany ? legend(height - 16) : []),
    "</svg>\n",
  ].join("\n");
}

/** Powers of ten around the values, and their twofold and fivefold where there are few of them. */
function scale(least: number, most: number): readonly number[] {
  const [from, to] = [Math.floor(Math.log10(least)), Math.ceil(Math.log10(most))];
  const factors = to - from <= 2 ? [1, 2, 5] : [1];
  const all: number[] = [];
  for (let power = from; power <= to; power += 1)
    all.push(...factors.map((factor) => Number((factor * 10 ** power).toPrecision(3))));
  const [low, high] = [all.findLastIndex((value) => value <= least), all.findIndex((value) => value >= most)];
  return all.slice(Math.max(0, low), Math.max(low + 1, high) + 1);
}

function rowOf({ label, values }: Plot["rows"][number], y: number, x: (value: number) => number): string[] {
  const sorted = values.toSorted((one, other) => one - other);
  const at = (part: number): number => sorted[Math.floor((sorted.length - 1) * part)] ?? 1;
  const isMany = sorted.length > few;
  const dots = isMany
    ? marks.map(({ part }, index) => ({ value: at(part), index }))
    : sorted.map((value) => ({ value, index: 0 }));
  return [
    `<text x="${left - 14}" y="${y + 4}" text-anchor="end">${escaped(label)}</text>`,
    `<path d="M${x(at(0)).toFixed(1)} ${y}H${x(at(1)).toFixed(1)}" stroke="#9aa7b5" stroke-width="2"/>`,
    ...dots.map(({ value, index }) => markOf(x(value), y, index)),
  ];
}

/** Told apart by their shape, not by colour alone. */
function markOf(x: number, y: number, index: number): string {
  const at = `${x.toFixed(1)} ${y}`;
  const shapes = [
    `<circle cx="${x.toFixed(1)}" cy="${y}" r="5" fill="#1c5d99"/>`,
    `<path d="M${at}m-6 6h12l-6 -12z" fill="#c2571a"/>`,
    `<path d="M${at}m-5 -5h10v10h-10z" fill="#8a3ffc"/>`,
    `<path d="M${at}m0 -8v16" stroke="#222" stroke-width="3"/>`,
  ];
  return shapes[index] ?? "";
}

function legend(y: number): string[] {
  return marks.flatMap(({ name }, index) => {
    const x = left + index * 120;
    return [markOf(x, y - 4, index), `<text x="${x + 12}" y="${y}">${name}</text>`];
  });
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
