/** A page of reports is well-formed, needs nothing from elsewhere, and takes everything that it is given for text. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { at, serving } from "../../test/fixtures/simulation/scenes.ts";
import type { JournalRecord } from "../upgrade/record.ts";
import { type Report, reportsOf } from "../upgrade/report.ts";
import { renderReport, renderReports } from "./page.ts";

/** Names of the elements of a document, in order; throws where it is not well-formed XML. */
function elementsOf(page: string): string[] {
  const names: string[] = [];
  const open: string[] = [];
  const text = page.replace(/^<!DOCTYPE html>/, "").replace(/<style>[^<]*<\/style>/, "");
  for (const [, between = "", tag = ""] of text.matchAll(/([^<]*)(<[^>]*>|$)/g)) {
    assert.doesNotMatch(between, />|&(?!(?:amp|lt|gt|quot|#39);)/, between);
    if (tag === "") continue;
    const [, close, name = "", attributes = "", empty] =
      /^<(\/?)([a-z0-9]+)((?: [a-zA-Z][a-zA-Z0-9-]*="[^"<&]*(?:&(?:amp|lt|gt|quot|#39);[^"<&]*)*")*)(\/?)>$/.exec(
        tag.replace(/ >$/, ">").replace(/ \/>$/, "/>"),
      ) ?? assert.fail(`no tag: ${tag}`);
    if (close === "/") assert.equal(open.pop(), name, tag);
    else {
      names.push(name);
      // An event handler, or anything to fetch.
      const told = attributes.replaceAll(/="[^"]*"/g, "=");
      assert.doesNotMatch(told, / (?:on\w+|src|href|srcset|action|background|data)=/, tag);
      if (empty !== "/") open.push(name);
    }
  }
  assert.deepEqual(open, []);
  return names;
}

async function sample(): Promise<readonly JournalRecord[]> {
  const { host, system } = await serving("1", "2");
  await host.rollback(system);
  at(host, { phase: "probation" }, () => host.health.setUnhealthy("b"));
  await host.upgrade(system, "3");
  await system.close();
  return host.records;
}

const records = await sample();
const reports = reportsOf("simulated", records);
const rolledBack = reports.find(({ outcome }) => outcome === "rolled-back");
assert.ok(rolledBack !== undefined);
const elements = elementsOf(renderReport(rolledBack));

test("every story's page is well-formed, with a drawing, and nothing to load or to run", () => {
  for (const report of reports) {
    const page = renderReport(report);
    const found = elementsOf(page);
    assert.ok(found.includes("svg"));
    for (const name of ["script", "link", "img", "iframe", "a", "use", "object"])
      assert.ok(!found.includes(name), name);
    assert.doesNotMatch(page, /https?:|url\(|@import|javascript:/i);
  }
});

test("strings of others do not change the page's structure", () => {
  const hostile = fc.oneof(
    fc.constantFrom(
      "</pre><script>alert(1)</script>",
      `" onload="alert(1)`,
      "'><img src=x onerror=alert(1)>",
      "]]>&lt;&amp",
      "\u001b[31mred\u001b[0m\u0000\u202eevil\ud800",
    ),
    fc.string({ unit: "binary" }),
  );
  const version = hostile.filter((text) => text !== "");
  fc.assert(
    fc.property(version, hostile, hostile, (to, line, name) => {
      const report: Report = {
        ...rolledBack,
        system: name,
        to: { board: "a", version: to, kind: "qemu" },
        error: { code: "board-died", message: line, remedy: line, phase: "probation", console: [line, to] },
        checks: rolledBack.checks.map((check) => ({ ...check, name, reason: line })),
        lacks: [{ board: "a", what: line }],
        remarks: [line],
      };
      // The names of lanes are also an attribute.
      const lanes = [{ name, value: line, spans: [{ from: 1, to: 9, tone: "a" as const, label: to }] }];
      const marks = [{ at: 5, label: line }];
      const series = [{ name, unit: "ms" as const, points: [[2, 3] as const], failed: [] }];
      const page = renderReports(name, [
        { report, heading: to, paragraphs: [line] },
        {
          heading: name,
          paragraphs: [line],
          chart: { from: 0, to: 10, lanes, marks, series },
          table: { head: [name], rows: [[line]] },
        },
      ]);
      assert.deepEqual(
        elementsOf(page).filter((element) => !known.has(element)),
        [],
      );
      assert.doesNotMatch(page, /[[\p{Cc}\p{Bidi_Control}]--[\t\n]]/v);
    }),
  );
});
const known = new Set([...elements, ..."li ul h2 h4 p pre".split(" ")]);

test("every beginning of every story makes a page", () => {
  for (let length = 1; length <= records.length; length += 1) {
    const [newest] = reportsOf("simulated", records.slice(0, length));
    assert.ok(newest !== undefined);
    const page = renderReport(newest);
    assert.ok(elementsOf(page).includes("svg"));
    assert.doesNotMatch(page, /NaN|Infinity|undefined/);
  }
});

test("a page of several sections with series of others", () => {
  const series = [
    {
      name: "load",
      unit: "ms" as const,
      points: Array.from(
        { length: 50_000 },
        (_, index) => [rolledBack.startedAt + index, index % 7] as const,
      ),
      failed: [rolledBack.startedAt + 3, Number.NaN, rolledBack.startedAt - 1e9],
    },
    { name: "nothing", unit: "ms" as const, points: [], failed: [] },
  ];
  const page = renderReports("Several", [
    ...reports.map((report) => ({ report, series, heading: report.id })),
    { heading: "Else", paragraphs: ["<p>"], table: { head: ["one"], rows: [["<b>"]] } },
    { report: { ...rolledBack, outcome: null, endedAt: null, phases: [], checks: [] } },
  ]);
  const found = elementsOf(page);
  assert.equal(found.filter((name) => name === "article").length, reports.length + 1);
  assert.ok(page.length < 1_000_000, `${page.length} characters`);
  assert.doesNotMatch(page, /NaN|Infinity|undefined/);
});

test("what the boards lacked is told, and nothing of it where they lacked nothing", () => {
  const lacks = [{ board: "b", what: "its memory is not limited: <no group>" } as const];
  const page = renderReport({ ...rolledBack, lacks });
  assert.match(
    page,
    /<h3>What the boards lacked<\/h3><ul><li>Board b: its memory is not limited: &lt;no group&gt;<\/li><\/ul>/,
  );
  assert.doesNotMatch(renderReport(rolledBack), /lacked/);
});

test("the sentence says what happened", () => {
  const sentences = reports.map(
    (report) => /class="sentence">([^<]*)</.exec(renderReport(report))?.[1] ?? "",
  );
  // Newest first: what was taken back, the rollback, an upgrade, the first installation.
  const [takenBack = "", rollback = "", upgrade = "", first = ""] = sentences;
  assert.match(takenBack, /^Board a serves 1 again since .*: board b with 3 was relieved after .*, because /);
  assert.match(rollback, /^Board a serves 1 again since \d\d:\d\d:\d\d UTC; /);
  assert.match(upgrade, /^Board b serves 2 since .*(?:nothing was lost|nothing to drain)/);
  assert.match(first, /^Board a serves 1 since .*; this was the first installation\.$/);
});
