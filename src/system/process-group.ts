/**
 * The door to programs that others wrote, and that may start others: each runs in a process group of its own, which ends as a whole
 * (killpg(3)). Otherwise as `run`: an argument array, a deadline, limits on output, an AbortSignal.
 */
import { spawn } from "node:child_process";
import { Readable } from "node:stream";
import { TwinboardError } from "../errors.ts";

export interface GroupOptions {
  /** Milliseconds until the group is killed. */
  readonly timeoutMs: number;
  /** Bytes of stdout, and of stderr; more is an error. */
  readonly maxOutputBytes: number;
  /** All of its environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly signal?: AbortSignal | undefined;
}

export interface GroupResult {
  readonly stdout: string;
  /** The last line that it wrote on stderr, printable; empty if there is none. */
  readonly lastWords: string;
  /** What it wrote on descriptor 3. */
  readonly report: string;
  /** Why it was killed; `undefined`: it ended by itself. */
  readonly failure: Error | undefined;
}

/** What its leftovers in other sessions hold open is not waited for: what it wrote is in the pipes when it ends. */
const lastOutputMs = 250;
const maxReportBytes = 4096;

/**
 * Runs a program to the end of its group's leader; what the group did not end by itself by then is killed.
 * Errors: `missing-program`, `command-failed` (it cannot be started); the signal's reason.
 */
export async function runGroup(
  command: string,
  args: readonly string[],
  options: GroupOptions,
): Promise<GroupResult> {
  const { timeoutMs, maxOutputBytes, env, cwd, signal } = options;
  signal?.throwIfAborted();
  const child = spawn(command, args, {
    cwd,
    env: { ...env },
    detached: true,
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
  const streams = [1, 2, 3].map((fd) => child.stdio[fd]).filter((stream) => stream instanceof Readable);
  const written: Buffer[][] = [[], [], []];
  let failure: Error | undefined;
  const give = (error: Error): void => {
    failure ??= error;
    killGroup(child.pid);
  };
  for (const [index, stream] of streams.entries()) {
    const limit = index === 2 ? maxReportBytes : maxOutputBytes;
    let bytes = 0;
    stream.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= limit) written[index]?.push(chunk);
      else
        give(
          new TwinboardError("command-failed", {
            detail: `it wrote more than ${limit} bytes, and was ended`,
          }),
        );
    });
    stream.on("error", () => undefined);
  }
  const timer = setTimeout(
    () => give(new TwinboardError("deadline-passed", { detail: `it was ended after ${timeoutMs} ms` })),
    timeoutMs,
  );
  const abort = (): void => give(signal?.reason as Error);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      child.once("error", (cause: NodeJS.ErrnoException) => {
        const code = cause.code === "ENOENT" ? "missing-program" : "command-failed";
        reject(new TwinboardError(code, { detail: `${command}: ${cause.message}`, cause }));
      });
      child.once("close", resolve);
      child.once("exit", () => {
        killGroup(child.pid);
        setTimeout(resolve, lastOutputMs);
      });
    });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
    for (const stream of streams) stream.destroy();
  }
  signal?.throwIfAborted();
  const [stdout = "", stderr = "", report = ""] = written.map((chunks) => Buffer.concat(chunks).toString());
  return { stdout, lastWords: lastLine(stderr), report, failure };
}

/** Repeatable: a group that is gone is no error. */
export function killGroup(leader: number | undefined): void {
  if (leader === undefined) return;
  try {
    process.kill(-leader, "SIGKILL");
  } catch {
    // Gone, or not ours to end: whoever waits for its end has a deadline.
  }
}

function lastLine(text: string): string {
  const line = text.trimEnd().split("\n").at(-1) ?? "";
  return line
    .replaceAll(/[^\x20-\x7e\u00a0-\uffff]/g, " ")
    .trim()
    .slice(0, 300);
}
