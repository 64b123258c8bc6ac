/** The list of stories and the report of one, as a terminal shows them. Pure. */
import type { Report, StorySummary } from "../api/report-schemas.ts";
import { instantText, sizeText, spanText } from "../report/figures.ts";
import { printable } from "../report/printable.ts";
import { kindNouns, sentenceOf } from "../report/sentence.ts";
import { tableLines } from "./format.ts";

const none = "–";

export function listLines(stories: readonly StorySummary[]): string[] {
  if (stories.length === 0) return ["No story yet."];
  const head = ["story", "from → to", "outcome", "began", "took", "flows: ended, closed early, cut"];
  const rows = stories.map(({ id, from, to, outcome, phase, startedAt, endedAt, drain, error }) => [
    id,
    `${from ?? none} → ${to ?? none}`,
    outcome === null
      ? `in ${phase ?? "its beginning"}`
      : `${outcome}${error === null ? "" : ` (${error.code})`}`,
    instantText(startedAt),
    endedAt === null ? none : spanText(Math.max(0, endedAt - startedAt)),
    drain === null ? none : `${drain.finished}, ${drain.closedEarly}, ${drain.cut}`,
  ]);
  return tableLines([head, ...rows]).map(printable);
}

export function reportLines(report: Report): string[] {
  const { id, kind, system, outcome, startedAt, endedAt, lacks, remarks, from, to } = report;
  const took = endedAt === null ? "" : `, took ${spanText(Math.max(0, endedAt - startedAt))}`;
  return [
    sentenceOf(report),
    "",
    `${id} of ${system}: ${kindNouns[kind]}, ${outcome ?? "under way"}, began ${instantText(startedAt)}${took}`,
    `Boards: ${boardText(from)} → ${boardText(to)}`,
    ...block("Phases", phaseLines(report)),
    ...block("Flows", flowLines(report)),
    ...block("Health checks", checkLines(report)),
    ...block("What failed", failureLines(report)),
    ...block("Content", contentLines(report)),
    ...block(
      "What the boards lacked",
      lacks.map(({ board, what }) => `board ${board}: ${what}`),
    ),
    ...block("Remarks", remarks),
  ].map(printable);
}

function boardText({ board, kind }: Report["from"]): string {
  return `${board ?? none}${kind === null ? "" : ` (${kind})`}`;
}

function block(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ["", title, ...lines.map((line) => `  ${line}`.trimEnd())];
}

function phaseLines({ phases, startedAt, service, recoveries, undo }: Report): string[] {
  const after = (at: number): string => `+${spanText(Math.max(0, at - startedAt))}`;
  const rows = phases.map(({ phase, startedAt: at, ms, end, reason }) => ({
    at,
    cells: [after(at), phase, ms === null ? none : spanText(ms), reason === null ? end : `${end}: ${reason}`],
  }));
  const add = (at: number | null, ...cells: string[]): void => {
    if (at !== null) rows.push({ at, cells: [after(at), ...cells] });
  };
  const { movedAt, takeoverMs, cameBackAt } = service;
  add(movedAt, "— the service moves", takeoverMs === null ? none : spanText(takeoverMs), "");
  add(cameBackAt, "— the service is back", "", "");
  if (undo !== null) {
    const took = undo.endedAt === null ? none : spanText(Math.max(0, undo.endedAt - undo.startedAt));
    add(undo.startedAt, "— the way back", took, `from ${undo.phase} backwards`);
  }
  for (const { at, lastSeenAt, after: what } of recoveries)
    add(
      at,
      what === "reboot" ? "— the host was booted" : "— another daemon",
      "",
      `nothing was recorded for ${spanText(Math.max(0, at - lastSeenAt))}`,
    );
  return tableLines(rows.toSorted((one, other) => one.at - other.at).map(({ cells }) => cells));
}

function flowLines({ drain, backDrain }: Report): string[] {
  const lines: string[] = [];
  for (const [who, result] of [
    ["the old board", drain],
    ["the board that was relieved", backDrain],
  ] as const) {
    if (result === null) continue;
    const { services, ...all } = result;
    const row = (name: string, counts: (typeof services)[string]): string[] => [
      name,
      ...[counts.finished, counts.closedEarly, counts.cut, counts.left].map(String),
    ];
    const head = ["service", "ended by themselves", "closed between requests", "cut", "left"];
    const rows = Object.entries(services).map(([name, counts]) => row(name, counts));
    lines.push(
      `Of ${who}, in ${spanText(result.ms)}:`,
      ...tableLines([head, ...rows, row("all", all)]),
      ...result.remarks,
    );
  }
  return lines;
}

function checkLines({ checks }: Report): string[] {
  if (checks.length === 0) return [];
  const rows = checks.map(({ phase, name, asked, failed, slowestMs, reason }) => [
    phase,
    name,
    String(asked),
    String(failed),
    slowestMs === null ? none : spanText(slowestMs),
    reason ?? none,
  ]);
  return tableLines([["phase", "check", "asked", "failed", "slowest", "last failure"], ...rows]);
}

function failureLines({ error, failure }: Report): string[] {
  if (error === null && failure !== null)
    return [
      `board ${failure.board}, which was in service, ${failure.cause}: ${failure.detail}`,
      ...failure.console.map((line) => `| ${line}`),
    ];
  if (error === null) return [];
  const { phase, message, code, remedy, console } = error;
  return [
    `${phase === null ? "" : `${phase}: `}${message} (${code})`,
    remedy,
    ...(console.length === 0 ? [] : ["Last lines of the console:", ...console.map((line) => `| ${line}`)]),
  ];
}

function contentLines({ installed }: Report): string[] {
  if (installed === null) return [];
  const { version, digest, signer, images } = installed;
  const rows = images.map((image) => [
    image.class,
    image.sizeBytes === null ? none : sizeText(image.sizeBytes),
    image.sha256,
  ]);
  return [
    `${version}, bundle ${digest}`,
    ...(signer === null ? [] : [`signed by ${signer}`]),
    ...tableLines(rows),
  ];
}
