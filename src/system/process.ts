/** The door to other programs: argument arrays, never a shell; each with a deadline, a limit on output, and an AbortSignal. */
import { spawn } from "node:child_process";
import { TwinboardError } from "../errors.ts";

export interface RunOptions {
  /** Milliseconds until the program is killed. Default 10 s. */
  readonly timeoutMs?: number;
  /** Bytes of stdout kept; more is an error. Default 4 MiB. */
  readonly maxOutputBytes?: number;
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly signal?: AbortSignal;
  /** Exit codes that are not an error besides 0. */
  readonly allowedExitCodes?: readonly number[];
}

export interface RunResult {
  readonly stdout: Buffer;
  readonly stderr: string;
  readonly exitCode: number;
}

/**
 * Runs a program to its end.
 * Errors: `missing-program` (not installed), `deadline-passed`, `command-failed` (exit code, signal, too much output); the signal's reason.
 */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const { timeoutMs = 10_000, maxOutputBytes = 4 * 1024 * 1024, signal } = options;
  signal?.throwIfAborted();
  return await new Promise<RunResult>((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ["pipe", "pipe", "pipe"],
      ...(options.env === undefined ? {} : { env: { ...process.env, ...options.env } }),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    let stdoutBytes = 0;
    let stderrBytes = 0;
    let failure: Error | undefined;
    const give = (error: Error): void => {
      failure ??= error;
      child.kill("SIGKILL");
      if (hasEnded()) hangUp();
    };
    const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
    // What it began may hold its output open for ever, and "close" waits for that.
    const hangUp = (): void => {
      child.stdout.destroy();
      child.stderr.destroy();
    };
    const told = `${command} ${args.join(" ")}`.slice(0, 300);
    const timer = setTimeout(() => {
      give(new TwinboardError("deadline-passed", { detail: `${told} (${timeoutMs} ms)` }));
    }, timeoutMs);
    const abort = (): void => give(signal?.reason as Error);
    signal?.addEventListener("abort", abort, { once: true });
    child.stdout.on("data", (chunk: Buffer) => {
      stdoutBytes += chunk.length;
      if (stdoutBytes > maxOutputBytes) {
        give(
          new TwinboardError("command-failed", {
            detail: `${told}: more than ${maxOutputBytes} bytes of output`,
          }),
        );
      } else stdout.push(chunk);
    });
    child.stderr.on("data", (chunk: Buffer) => {
      stderrBytes += chunk.length;
      if (stderrBytes <= 65_536) stderr.push(chunk);
    });
    // A program that ends without reading its input is judged by its exit code, not by EPIPE.
    child.stdin.on("error", () => undefined);
    child.stdin.end(options.input ?? "");
    const settle = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    };
    child.on("error", (error: NodeJS.ErrnoException) => {
      settle();
      reject(
        error.code === "ENOENT"
          ? new TwinboardError("missing-program", { detail: command, cause: error })
          : new TwinboardError("command-failed", { detail: `${told}: ${error.message}`, cause: error }),
      );
    });
    child.on("exit", () => {
      if (failure !== undefined) hangUp();
    });
    child.on("close", (code, killedBy) => {
      settle();
      const result = {
        stdout: Buffer.concat(stdout),
        stderr: Buffer.concat(stderr).toString(),
        exitCode: code ?? -1,
      };
      if (failure !== undefined) reject(failure);
      else if (code === 0 || (code !== null && options.allowedExitCodes?.includes(code) === true))
        resolve(result);
      else {
        const how = code === null ? `ended by ${killedBy}` : `exit code ${code}`;
        reject(
          new TwinboardError("command-failed", {
            detail: `${told}: ${how}: ${result.stderr.trim().slice(0, 2000)}`,
          }),
        );
      }
    });
  });
}
