/** A story's part of a page: its sentence, its timeline, and what there is to know of flows, checks, failure and content. */
import { kindWords } from "../board/kind.ts";
import type { DrainCounts, DrainResult } from "../service/service.ts";
import type { Report } from "../upgrade/report.ts";
import { chartMarkup } from "./chart.ts";
import { instantText, iso, sizeText, spanText } from "./figures.ts";
import { html, type Markup } from "./markup.ts";
import type { StorySection } from "./page.ts";
import { failureVerbs, kindNouns, sentenceOf } from "./sentence.ts";
import { aroundTakeover, timeline } from "./timeline.ts";

const none = "–";

/** @param alone whether the page has nothing else: then its sentence is the page's title. */
export function storyMarkup(section: StorySection, alone: boolean): Markup {
  const { report, series = [], heading, paragraphs = [] } = section;
  const lens = aroundTakeover(report, series);
  const sentence = sentenceOf(report);
  return html`<article class="story">
<header>
<p class="eyebrow"><b class="outcome ${report.outcome ?? "under-way"}">${report.outcome ?? "under way"}</b> ${kindNouns[report.kind]} <span class="mono">${report.id}</span> of ${report.system}</p>
${heading === undefined ? "" : html`<h2>${heading}</h2>`}
${paragraphs.map((paragraph) => html`<p>${paragraph}</p>`)}
${alone ? html`<h1 class="sentence">${sentence}</h1>` : html`<p class="sentence">${sentence}</p>`}
${keyFacts(report)}
</header>
<figure>${chartMarkup(timeline(report, series))}</figure>
${lens === undefined ? "" : html`<figure class="lens"><figcaption>One second on either side of the takeover</figcaption>${chartMarkup(lens)}</figure>`}
${cause(report)}${failure(report)}
${lacks(report)}${remarks(report)}
${flows("Flows of the old board", report.drain)}
${flows("Flows of the board that was relieved", report.backDrain)}
${checks(report)}
${installed(report)}
${course(report)}
</article>
`;
}

function keyFacts({ from, to, startedAt, endedAt, service, recoveries }: Report): Markup {
  const facts: [name: string, value: string][] = [
    ["Software", `${from.version ?? none} → ${to.version ?? "not known"}`],
    ["Boards", `${boardText(from)} → ${boardText(to)}`],
    ["Began", instantText(startedAt)],
  ];
  if (endedAt !== null) {
    facts.push(["Ended", instantText(endedAt)], ["Took", spanText(Math.max(0, endedAt - startedAt))]);
  }
  if (service.takeoverMs !== null) facts.push(["Takeover", spanText(service.takeoverMs)]);
  if (recoveries.length > 0) facts.push(["Taken up again", `${recoveries.length} ×`]);
  return html`<dl class="facts">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

function boardText({ board, kind }: Report["from"]): string {
  return board === null ? none : kind === null ? board : `${board}, ${kindWords[kind]}`;
}

function consoleLines(board: string, lines: readonly string[]): Markup | "" {
  if (lines.length === 0) return "";
  return html`<h4>Last lines of board ${board}’s console</h4>
<pre>${lines.join("\n")}</pre>`;
}

/** Why a story began by itself. */
function cause({ failure: why }: Report): Markup | "" {
  if (why === null) return "";
  return html`<section class="failure"><h3>Why: board ${why.board} ${failureVerbs[why.cause]}</h3>
<p class="message">${why.detail}</p>
${consoleLines(why.board, why.console)}
</section>
`;
}

function failure({ error, to }: Report): Markup | "" {
  if (error === null) return "";
  const { code, message, remedy, phase, console } = error;
  const lines = consoleLines(to.board, console);
  return html`<section class="failure"><h3>What failed${phase === null ? "" : ` in ${phase}`}</h3>
<p class="message">${message}</p>
<p>What to do: ${remedy}. <span class="code">${code}</span></p>
${lines}
</section>
`;
}

/** Of the host, for its boards. */
function lacks({ lacks: all }: Report): Markup | "" {
  if (all.length === 0) return "";
  const items = all.map(({ board, what }) => html`<li>Board ${board}: ${what}</li>`);
  return html`<section><h3>What the boards lacked</h3><ul>${items}</ul></section>
`;
}

function remarks({ remarks: told }: Report): Markup | "" {
  if (told.length === 0) return "";
  return html`<section><h3>Remarks</h3><ul>${told.map((remark) => html`<li>${remark}</li>`)}</ul></section>
`;
}

const flowHead = html`<tr><th scope="col">service</th><th scope="col" class="n">ended by themselves</th><th scope="col" class="n">closed between requests</th><th scope="col" class="n">cut</th><th scope="col" class="n">left</th></tr>`;

/** A figure that should be nought. */
const lost = (count: number): Markup => html`<td class="n${count > 0 ? " bad" : ""}">${count}</td>`;

function flowCells(name: string, { finished, closedEarly, cut, left }: DrainCounts): Markup {
  return html`<td>${name}</td><td class="n">${finished}</td><td class="n">${closedEarly}</td>${lost(cut)}${lost(left)}`;
}

function flows(heading: string, drain: DrainResult | null): Markup | "" {
  if (drain === null) return "";
  const { finished, closedEarly, cut, left, ms, services, remarks: told } = drain;
  const some = finished + closedEarly + cut + left > 0;
  const rows = Object.entries(services).map(([name, counts]) => html`<tr>${flowCells(name, counts)}</tr>\n`);
  const table = html`<div class="scroll"><table><thead>${flowHead}</thead><tbody>
${rows}<tr class="sum">${flowCells("all", drain)}</tr>
</tbody></table></div>
<p class="note">Drained in ${spanText(ms)}.</p>`;
  return html`<section><h3>${heading}</h3>
${some ? table : html`<p class="note">None was open.</p>`}
${told.length === 0 ? "" : html`<ul>${told.map((remark) => html`<li>${remark}</li>`)}</ul>`}
</section>
`;
}

function checks({ checks: all }: Report): Markup | "" {
  if (all.length === 0) return "";
  const rows = all.map(
    ({ phase, name, board, asked, failed, slowestMs, reason }) =>
      html`<tr><td>${phase}</td><td>${name}</td><td>${board}</td><td class="n">${asked}</td><td class="n${failed > 0 ? " bad" : ""}">${failed}</td><td class="n">${slowestMs === null ? none : spanText(slowestMs)}</td><td>${reason ?? none}</td></tr>\n`,
  );
  return html`<section><h3>Health checks</h3>
<div class="scroll"><table><thead><tr><th scope="col">phase</th><th scope="col">check</th><th scope="col">board</th><th scope="col" class="n">asked</th><th scope="col" class="n">failed</th><th scope="col" class="n">slowest</th><th scope="col">last failure</th></tr></thead><tbody>
${rows}</tbody></table></div>
</section>
`;
}

function installed({ installed: content, kind }: Report): Markup | "" {
  if (content === null) return "";
  const { version, digest, signer, images } = content;
  const rows = images.map(
    (image) =>
      html`<tr><td>${image.class}</td><td class="n">${image.sizeBytes === null ? none : sizeText(image.sizeBytes)}</td><td class="mono hash">${image.sha256}</td></tr>\n`,
  );
  return html`<section><h3>${kind === "upgrade" ? "What was installed" : "What the board runs"}</h3>
<dl class="facts wide"><div><dt>Version</dt><dd>${version}</dd></div><div><dt>Bundle</dt><dd class="mono hash">${digest}</dd></div>${signer === null ? "" : html`<div><dt>Signed by</dt><dd>${signer}</dd></div>`}</dl>
<div class="scroll"><table><thead><tr><th scope="col">image</th><th scope="col" class="n">size</th><th scope="col">SHA-256</th></tr></thead><tbody>
${rows}</tbody></table></div>
</section>
`;
}

/** The bare facts, for whoever wants to compute with them by hand. */
function course(report: Report): Markup {
  const { startedAt, phases, recoveries, undo } = report;
  const after = (at: number): string => `+${spanText(Math.max(0, at - startedAt))}`;
  const entries = [
    ...phases.map(({ phase, attempt, startedAt: at, ms, end, reason }) => ({
      at,
      cells: [
        `${phase}${attempt > 1 ? `, run ${attempt}` : ""}`,
        ms === null ? none : spanText(ms),
        reason === null ? end : `${end}: ${reason}`,
      ],
    })),
    ...recoveries.map(({ at, lastSeenAt, after: what, action, phase }) => ({
      at,
      cells: [
        what === "reboot" ? "the host was booted" : "another daemon took it up",
        spanText(Math.max(0, at - lastSeenAt)),
        `${action}${phase === null ? "" : ` with ${phase}`}`,
      ],
    })),
    ...(undo === null
      ? []
      : [
          {
            at: undo.startedAt,
            cells: [
              `undoing, from ${undo.phase} backwards`,
              undo.endedAt === null ? none : spanText(Math.max(0, undo.endedAt - undo.startedAt)),
              undo.endedAt === null ? "not done" : "done",
            ],
          },
        ]),
  ].toSorted((one, other) => one.at - other.at);
  const rows = entries.map(
    ({ at, cells: [what, took, end] }) =>
      html`<tr><td class="n"><time datetime="${iso(at)}">${after(at)}</time></td><td>${what}</td><td class="n">${took}</td><td>${end}</td></tr>\n`,
  );
  return html`<section><h3>Course</h3>
<div class="scroll"><table><thead><tr><th scope="col" class="n">after</th><th scope="col">what</th><th scope="col" class="n">took</th><th scope="col">ended</th></tr></thead><tbody>
${rows}</tbody></table></div>
<details><summary>The facts as JSON, without the series of answer times</summary><pre>${factsText(report)}</pre></details>
</section>
`;
}

function factsText(report: Report): string {
  const series = new Set(["points", "failedAt"]);
  const without = (key: string, value: unknown): unknown => (series.has(key) ? undefined : value);
  return JSON.stringify(report, without, 2);
}
