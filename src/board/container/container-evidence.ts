/** Why a container may have ended: what the kernel tells, and what was written last on its console. */
import type { ConsoleLog } from "../console.ts";
import type { Trace } from "./container-process.ts";

const mostCharacters = 200;

/**
 * The same, with that in the detail of its end. A runtime that cannot execute the board's init says why on the console alone.
 * @param death what the kernel ended for want of memory, as a part of a sentence.
 */
export async function withEvidence(
  trace: Trace,
  death: string | undefined,
  console: ConsoleLog,
): Promise<Trace> {
  const { end } = trace;
  if (end === undefined) return trace;
  const evidence = death ?? (end.cause === "panic" ? await lastWords(console) : undefined);
  return evidence === undefined ? trace : { ...trace, end: { ...end, detail: `${end.detail}; ${evidence}` } };
}

async function lastWords(console: ConsoleLog): Promise<string | undefined> {
  const line = (await console.tail(1).catch(() => []))[0]?.trim() ?? "";
  return line === "" ? undefined : `last on its console: ${JSON.stringify(line.slice(0, mostCharacters))}`;
}
