/** A board's start whose processes somebody killed, which tells nothing of the board's software. */
import { TwinboardError } from "../errors.ts";

/** By somebody, and not by what the process itself did. */
export function isKill(ended: number | NodeJS.Signals): ended is NodeJS.Signals {
  return ended === "SIGKILL" || ended === "SIGTERM";
}

export function endText(ended: number | NodeJS.Signals): string {
  return typeof ended === "number" ? `exit code ${ended}` : `ended by ${ended}`;
}

/** Ends what the killed process had begun. Returns a `board-start-killed`. */
export async function killedStart(
  who: string,
  by: NodeJS.Signals,
  lastWords: () => Promise<string>,
  stop: () => Promise<void>,
): Promise<TwinboardError> {
  const words = await lastWords();
  const left = await stop().then(
    () => "",
    (error: Error) => `; what it had begun could not be ended: ${error.message}`,
  );
  return new TwinboardError("board-start-killed", { detail: `${who} was killed (${by}): ${words}${left}` });
}
