/**
 * Reports as one HTML file that needs nothing else: no script, no font, no picture from elsewhere. For a change record, for paper, for a
 * telephone.
 */
import type { Report } from "../upgrade/report.ts";
import { type Chart, chartMarkup, type LatencySeries } from "./chart.ts";
import { html, type Markup } from "./markup.ts";
import { storyMarkup } from "./story-section.ts";
import { style } from "./style.ts";

/** A story, with what others measured while it went on. */
export interface StorySection {
  readonly report: Report;
  /** Drawn below the story's phases, on the same axis. */
  readonly series?: readonly LatencySeries[];
  /** Above the story's own sentence; left out where the page has one story. */
  readonly heading?: string;
  /** Between heading and sentence. */
  readonly paragraphs?: readonly string[];
}

/** Anything else that the page is to tell. */
export interface TextSection {
  readonly heading: string;
  readonly paragraphs?: readonly string[];
  readonly chart?: Chart;
  readonly table?: Table;
}

export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export type Section = StorySection | TextSection;

/** One page. Everything in it that is a string is text, whatever it looks like. */
export function renderReports(title: string, sections: readonly Section[]): string {
  const [first] = sections;
  const alone = sections.length === 1 && first !== undefined && "report" in first;
  return html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="color-scheme" content="light dark"/>
<title>${title}</title>
<style>${style}</style>
</head>
<body>
<main>
${alone ? "" : html`<header class="page"><h1>${title}</h1></header>`}
${sections.map((section) => sectionMarkup(section, alone))}
</main>
</body>
</html>
`.text;
}

/** The page of one story. */
export function renderReport(report: Report, series: readonly LatencySeries[] = []): string {
  return renderReports(`${report.id} · ${report.system}`, [{ report, series }]);
}

function sectionMarkup(section: Section, alone: boolean): Markup {
  if ("report" in section) return storyMarkup(section, alone);
  const { heading, paragraphs = [], chart, table } = section;
  return html`<section class="text">
<h2>${heading}</h2>
${paragraphs.map((paragraph) => html`<p>${paragraph}</p>`)}
${chart === undefined ? "" : html`<figure>${chartMarkup(chart)}</figure>`}
${table === undefined ? "" : tableMarkup(table)}
</section>
`;
}

function tableMarkup({ head, rows }: Table): Markup {
  return html`<div class="scroll"><table>
<thead><tr>${head.map((cell) => html`<th scope="col">${cell}</th>`)}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${row.map((cell) => html`<td>${cell}</td>`)}</tr>\n`)}</tbody>
</table></div>
`;
}
