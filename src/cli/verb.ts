/** How a verb ends: what went wrong is told once, and becomes the exit code. */
import { asTwinboardError, exitCodes } from "../errors.ts";

/**
 * Runs the work of a verb and sets the exit code. With `json` an error is one object on stdout, in the API's shape; else a sentence
 * and its remedy on stderr.
 */
export async function verb(json: boolean, work: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await work();
  } catch (cause) {
    const error = asTwinboardError(cause);
    process.exitCode = exitCodes[error.kind];
    if (json) {
      const { code, kind, message, remedy, phase } = error;
      printJson({ error: { code, kind, message, remedy, phase: phase ?? null } });
    } else process.stderr.write(`twinboard: ${error.message}\n${" ".repeat(11)}${error.remedy}\n`);
    // A defect is of use to nobody without its place.
    if (error.code === "internal" && cause instanceof Error && !json)
      process.stderr.write(`${cause.stack ?? ""}\n`);
  }
}

/** One object, one line. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
