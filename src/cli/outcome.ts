/** How a story ended, as a sentence and as an exit code. */
import type { StoryResult } from "../api/schemas.ts";
import { exitCodes } from "../errors.ts";
import { durationText } from "./format.ts";

const codes: Readonly<Record<StoryResult["outcome"], number>> = {
  committed: 0,
  "rolled-back": exitCodes.failed,
  failed: exitCodes.failed,
  rejected: exitCodes.rejected,
  stuck: exitCodes.stuck,
};

export function outcomeExitCode({ outcome }: StoryResult): number {
  return codes[outcome];
}

const sentences: Readonly<Record<StoryResult["outcome"], string>> = {
  committed: "Committed",
  "rolled-back": "Rolled back: the old board serves again",
  failed: "Failed: the service never moved",
  rejected: "Rejected: nothing changed",
  stuck: "Stuck: this needs a person",
};

/** What is told at the end, line by line. */
export function outcomeLines(result: StoryResult): string[] {
  const { outcome, from, to, error, drain, phases, kind } = result;
  const spentMs = Object.values(phases).reduce((sum, ms) => sum + ms, 0);
  const versions = to === null ? "" : `: ${from === null ? to : `${from} → ${to}`}`;
  const lines = [
    `${sentences[outcome]}${outcome === "committed" ? ` (${kind})` : ""}${versions}, ${durationText(spentMs)}`,
  ];
  if (drain !== null)
    lines.push(
      `Drain: ${drain.finished} flows ended by themselves, ${drain.closedEarly} were closed between requests, ${drain.cut} were reset at the deadline`,
      ...drain.remarks.map((remark) => `  ${remark}`),
    );
  if (error !== null) {
    lines.push(
      `${error.phase === null ? "" : `${error.phase}: `}${error.message} (${error.code})`,
      error.remedy,
    );
    if (error.console.length > 0)
      lines.push("Last lines of the console:", ...error.console.map((line) => `  | ${line}`));
  }
  return lines;
}
