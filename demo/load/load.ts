/** Steady load from inside a network namespace, and its records as they come. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Plan, RequestRecord } from "./request.ts";

const generator = join(import.meta.dirname, "generator.ts");

export interface Load extends AsyncDisposable {
  /** What has ended so far; grows while the load runs. */
  readonly records: readonly RequestRecord[];
  /** Resolves when every request that was to begin before `at` (ms since 1970) has ended: a span up to there can be cut. */
  settled(at: number, signal: AbortSignal): Promise<void>;
}

/** Disposing of it ends it at once, requests under way included. @param enter makes the command line that runs a program where the clients are. */
export function startLoad(
  plans: readonly Plan[],
  enter: (command: string, args: readonly string[]) => [command: string, args: string[]],
): Load {
  const [command, args] = enter(process.execPath, [generator, JSON.stringify(plans)]);
  // A group of its own: Ctrl-C in the terminal is for the demo, which ends the load in its turn.
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"], detached: true });
  const records: RequestRecord[] = [];
  const ended = once(child, "close");
  ended.catch(() => undefined);
  const lines = createInterface({ input: child.stdout });
  const progress = { settledTo: Number.NEGATIVE_INFINITY };
  lines.on("line", (line) => {
    const said = JSON.parse(line) as RequestRecord | { readonly settledTo: number };
    if ("settledTo" in said) progress.settledTo = said.settledTo;
    else records.push(said);
  });
  const end = async (): Promise<void> => {
    child.kill("SIGKILL");
    await ended;
  };
  return { records, settled, [Symbol.asyncDispose]: end };

  async function settled(at: number, signal: AbortSignal): Promise<void> {
    while (progress.settledTo < at) {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error("the load generator has ended, see its message above");
      await Promise.race([once(lines, "line", { signal }), ended]);
    }
  }
}
