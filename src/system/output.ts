/** A program's output as it comes, for what is too large to keep: as `run`, with a deadline for silence in place of one for the whole. */
import { spawn } from "node:child_process";
import { TwinboardError } from "../errors.ts";

export interface OutputOptions {
  /** Milliseconds without a byte, while one is awaited, after which the program is killed. Default 60 s. */
  readonly silenceMs?: number;
  readonly signal?: AbortSignal;
  /** Descriptors that the program gets as 3, 4, … */
  readonly files?: readonly number[];
}

/**
 * Starts a program and gives its stdout chunk by chunk; the program waits when the caller does. Ends after the program has ended
 * well. A caller that stops early has it killed.
 * Errors: `missing-program`, `deadline-passed`, `command-failed`; the signal's reason.
 */
export async function* outputOf(
  command: string,
  args: readonly string[],
  options: OutputOptions = {},
): AsyncGenerator<Buffer, void, undefined> {
  const { silenceMs = 60_000, signal, files = [] } = options;
  signal?.throwIfAborted();
  const told = `${command} ${args.join(" ")}`.slice(0, 300);
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe", ...files] });
  let failure: Error | undefined;
  const give = (error: Error): void => {
    failure ??= error;
    child.kill("SIGKILL");
  };
  let stderr = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    if (stderr.length < 65_536) stderr += text;
  });
  const ended = new Promise<string | undefined>((resolve) => {
    child.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT")
        give(new TwinboardError("missing-program", { detail: command, cause: error }));
      resolve(error.message);
    });
    child.on("close", (code, killedBy) => {
      if (code === 0) resolve(undefined);
      else resolve(code === null ? `ended by ${killedBy}` : `exit code ${code}`);
    });
  });
  const abort = (): void => give(signal?.reason as Error);
  signal?.addEventListener("abort", abort, { once: true });
  const silent = (): void =>
    give(new TwinboardError("deadline-passed", { detail: `${told} (${silenceMs} ms without output)` }));
  try {
    let timer = setTimeout(silent, silenceMs);
    try {
      for await (const chunk of child.stdout ?? []) {
        clearTimeout(timer);
        if (failure !== undefined) throw failure;
        yield chunk as Buffer;
        timer = setTimeout(silent, silenceMs);
      }
    } finally {
      clearTimeout(timer);
    }
    const how = await ended;
    if (failure !== undefined) throw failure;
    if (how !== undefined)
      throw new TwinboardError("command-failed", {
        detail: `${told}: ${how}: ${stderr.trim().slice(0, 2000)}`,
      });
  } finally {
    signal?.removeEventListener("abort", abort);
    child.kill("SIGKILL");
    await ended;
  }
}
