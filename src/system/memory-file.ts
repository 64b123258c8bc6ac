/**
 * The door to files that are memory: the kernel's (proc(5), control groups) and those of the run directory. They are read at once: on a busy
 * host, to hand one to another thread and back takes a hundred times as long, and a board that is to serve waits for a dozen of them.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

/** The file's content; `undefined` if it is not there or cannot be read. */
export function readAtOnce(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** Errors: those of open(2) and write(2). */
export function writeAtOnce(path: string, text: string): void {
  writeFileSync(path, text);
}

/** Names of the directories in this one; none if it is not there. */
export function directoriesIn(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
  } catch {
    return [];
  }
}
