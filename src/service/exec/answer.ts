/** What the integrator's program says (docs/exec.md): one JSON object on stdout. Foreign, so nothing of it is believed unread. */
import type { BoardName } from "../../board/board.ts";
import type { LeasedDrain } from "../leased.ts";

export interface Answer {
  /** Whom the program says that the content reaches. */
  readonly holder: BoardName | null;
  readonly trouble: string | null;
}

const maxTextLength = 500;
const maxRemarks = 20;

/** The answer to `inspect`, or a sentence that says what is wrong with it. Keys that are not known are left alone. */
export function parseAnswer(stdout: string): Answer | string {
  const answer = parseObject(stdout);
  if (typeof answer === "string") return answer;
  const { holder, trouble = null } = answer;
  if (holder !== "a" && holder !== "b" && holder !== null)
    return `expected "holder": "a", "b" or null, not ${shown(holder)}`;
  if (trouble !== null && typeof trouble !== "string")
    return `expected "trouble" to be text or null, not ${shown(trouble)}`;
  const text = trouble === null ? "" : printable(trouble);
  return { holder, trouble: text === "" ? null : text };
}

/** The answer to `drain`: counts, all of them 0 if they are left out or if it says nothing. Or a sentence. */
export function parseDrain(stdout: string): LeasedDrain | string {
  const answer = stdout.trim() === "" ? {} : parseObject(stdout);
  if (typeof answer === "string") return answer;
  const counts = { left: 0, finished: 0, closedEarly: 0, cut: 0 };
  for (const key of ["left", "finished", "closedEarly", "cut"] as const) {
    const value = answer[key] ?? 0;
    if (!Number.isSafeInteger(value) || (value as number) < 0)
      return `expected "${key}" to be a whole number, not ${shown(value)}`;
    counts[key] = value as number;
  }
  const { remarks = [] } = answer;
  if (!Array.isArray(remarks) || remarks.some((remark) => typeof remark !== "string"))
    return `expected "remarks" to be a list of text, not ${shown(remarks)}`;
  return { ...counts, remarks: (remarks as string[]).slice(0, maxRemarks).map(printable) };
}

function parseObject(stdout: string): Readonly<Record<string, unknown>> | string {
  try {
    const parsed: unknown = JSON.parse(stdout);
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed))
      return parsed as Readonly<Record<string, unknown>>;
  } catch {
    // Said below, with what was there instead.
  }
  return `expected one JSON object, not ${shown(stdout.trim())}`;
}

function shown(value: unknown): string {
  const text = printable(typeof value === "string" ? value : (JSON.stringify(value) ?? "nothing"));
  return text === "" ? "nothing" : text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function printable(text: string): string {
  return text
    .slice(0, maxTextLength)
    .replaceAll(/[^\x20-\x7e\u00a0-\uffff]+/g, " ")
    .trim();
}
