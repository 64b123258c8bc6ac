/** The runtime's own process, while it starts a board's container: which one it is, and what it said. */
import { readFile } from "node:fs/promises";
import { readAtOnce } from "../../system/memory-file.ts";
import { recordFiles } from "./launch-script.ts";

/**
 * In words, as `crun (process 7)`; `undefined` if none is at work.
 * @param pids the board's helpers, the launch script and what it began among them. Only a runtime is told where it keeps its state.
 */
export async function runtimeAtWork(runtime: string, pids: readonly number[]): Promise<string | undefined> {
  for (const pid of pids) {
    const args = (readAtOnce(`/proc/${pid}/cmdline`) ?? "").split("\0");
    const root = args.indexOf("--root");
    if (root !== -1 && args[root + 1]?.endsWith(`/${recordFiles.runtimeRoot}`) === true)
      return `${runtime} (process ${pid})`;
  }
  return undefined;
}

/** What the runtime and the launch script wrote last, in files that there may not be. */
export async function lastWordsIn(paths: readonly string[]): Promise<string> {
  const texts = await Promise.all(paths.map((path) => readFile(path, "utf8").catch(() => "")));
  return texts.join("\n").trim().slice(-1000) || "it said nothing";
}
