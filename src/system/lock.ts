/**
 * One daemon per system: an exclusive lock on a file (flock(1)), held by a child that ends with the daemon. Node has no flock(2) of
 * its own, and an abstract socket would be one per network namespace.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import { TwinboardError } from "../errors.ts";

/** Exit code of flock(1) when the first of the locks is taken; the second has the next one, and so on. */
const firstConflictExitCode = 75;
const timeoutMs = 5000;

export interface Lock {
  /** Rejects with `internal` if the lock is lost while it should be held: the child was killed. Never resolves. */
  readonly lost: Promise<never>;
  release(): Promise<void>;
}

/**
 * Takes the locks of all paths, or fails at once. The files stay, and hold the process id of who took them last.
 * Errors: `already-running` (with the holder's process id), `missing-program`, `deadline-passed`.
 */
export async function takeLock(paths: readonly string[]): Promise<Lock> {
  for (const path of paths) await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  // Without a fork each becomes the next, and what is left is one process that holds all.
  const words = paths.flatMap((path, index) => [
    "flock",
    "-n",
    "-F",
    "-E",
    String(firstConflictExitCode + index),
    path,
  ]);
  const [command, ...args] = [...words, "cat"];
  const child = spawn(command, args, {
    stdio: ["pipe", "pipe", "ignore"],
    // Ctrl-C in the daemon's terminal must not end the lock before the daemon has ended.
    detached: true,
  });
  child.stdin.on("error", () => undefined);
  const lines = createInterface({ input: child.stdout });
  const { promise: lost, reject: lose } = Promise.withResolvers<never>();
  lost.catch(() => undefined);
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", (cause: NodeJS.ErrnoException) => {
      const code = cause.code === "ENOENT" ? "missing-program" : "command-failed";
      reject(new TwinboardError(code, { detail: `flock: ${cause.message}`, cause }));
    });
    child.once("exit", (code) => resolve(code));
  });
  // What goes in comes out again once `cat` runs, and flock starts it only when it holds the lock.
  child.stdin.write("held\n");
  const held = once(lines, "line", { signal: AbortSignal.timeout(timeoutMs) }).then(
    () => "held" as const,
    (cause: unknown) => {
      child.kill("SIGKILL");
      throw new TwinboardError("deadline-passed", {
        detail: `the lock ${paths.join(", ")} (${timeoutMs} ms)`,
        cause,
      });
    },
  );
  const outcome = await Promise.race([held, ended]);
  if (outcome !== "held") {
    held.catch(() => undefined);
    const taken = outcome === null ? undefined : paths[outcome - firstConflictExitCode];
    if (taken === undefined)
      throw new TwinboardError("command-failed", {
        detail: `flock ${paths.join(", ")}: exit code ${outcome}`,
      });
    const pid = (await readFile(taken, "utf8").catch(() => "")).trim();
    throw new TwinboardError("already-running", {
      detail: `${taken}${pid === "" ? "" : `, process ${pid}`}`,
    });
  }
  for (const path of paths) await writeFile(path, `${process.pid}\n`);
  let released = false;
  child.once("exit", () => {
    if (!released) lose(new TwinboardError("internal", { detail: `the lock ${paths.join(", ")} was lost` }));
  });
  return {
    lost,
    release: async () => {
      released = true;
      child.stdin.end();
      await ended;
    },
  };
}
