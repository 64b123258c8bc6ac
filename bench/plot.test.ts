import assert from "node:assert/strict";
import { test } from "node:test";
import { rangesPlot } from "./plot.ts";

test("few values are drawn each, on a scale just around them; names are no markup", () => {
  const svg = rangesPlot({
    title: "a < b",
    unit: "ms",
    rows: [
      { label: "idle", values: [220, 250, 260] },
      { label: "saturated", values: [420] },
    ],
  });
  assert.match(svg, /^<svg /);
  assert.match(svg, />a &lt; b</);
  assert.equal(svg.match(/<circle/g)?.length, 4);
  assert.deepEqual(
    [...svg.matchAll(/>([\d.]+) ms</g)].map(([, tick]) => tick),
    ["200", "500"],
  );
});

test("of many values the parts are marked, and told by name", () => {
  const svg = rangesPlot({
    title: "many",
    unit: "ms",
    rows: [{ label: "way", values: Array.from({ length: 1000 }, (_, index) => (index + 1) / 10) }],
  });
  // The row's own, and the legend's.
  assert.equal(svg.match(/<circle/g)?.length, 2);
  assert.deepEqual(
    [...svg.matchAll(/>([\d.]+) ms</g)].map(([, tick]) => tick),
    ["0.1", "1", "10", "100"],
  );
  assert.match(svg, />99.9 %</);
});
