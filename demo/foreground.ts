/** A program in the foreground that makes a lab: it needs root, ends cleanly on signals, and says what went wrong. */
import { spawnSync } from "node:child_process";
import { TwinboardError } from "../src/errors.ts";

/** sysexits(3), EX_USAGE; and 128 + SIGINT, as a shell reports it. */
const usageExitCode = 64;
const interruptedExitCode = 130;

export class UsageError extends Error {}

/** Namespaces, cards and boards need root; what was built before does not. Returns the exit code of the same command under sudo. */
export function asRoot(): number {
  process.stdout.write("The lab needs root (network namespaces, cards, boards): going on with sudo.\n");
  const { status, error } = spawnSync("sudo", [process.execPath, ...process.argv.slice(1)], {
    stdio: "inherit",
  });
  if (error !== undefined) process.stdout.write(`sudo cannot be run (${error.message}): run this as root\n`);
  return status ?? 1;
}

/**
 * Runs `main` to its end and sets the exit code; the signal aborts when somebody ends the program, and `main` then takes its lab down.
 * @param name before what went wrong. @param usage told when the command line was wrong.
 */
export async function inForeground(
  name: string,
  usage: string,
  main: (signal: AbortSignal) => Promise<number>,
): Promise<void> {
  const interrupted = new AbortController();
  // Whoever reads along may leave, and the terminal may be closed: the lab is taken down all the same.
  process.stdout.on("error", () => interrupted.abort(new Error("nobody reads any more")));
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      if (!interrupted.signal.aborted) process.stdout.write("\nending: the lab is taken down\n");
      interrupted.abort(new Error("ended by a signal"));
    });
  }
  try {
    process.exitCode = await main(interrupted.signal);
  } catch (error) {
    if (isUsage(error)) {
      process.stderr.write(`${name}: ${(error as Error).message}\n${usage}\n`);
      process.exitCode = usageExitCode;
    } else if (interrupted.signal.aborted) process.exitCode = interruptedExitCode;
    else {
      explain(name, error);
      process.exitCode = 1;
    }
  }
}

function isUsage(error: unknown): boolean {
  return (
    error instanceof UsageError ||
    (error as NodeJS.ErrnoException).code?.startsWith("ERR_PARSE_ARGS") === true
  );
}

/** What went wrong, and then what went wrong while the lab was taken down for it. */
function explain(name: string, error: unknown): void {
  if (error instanceof SuppressedError) {
    explain(name, error.suppressed);
    explain(name, error.error);
    return;
  }
  process.stderr.write(`${name}: ${(error as Error).message}\n`);
  if (error instanceof TwinboardError)
    process.stderr.write(`${" ".repeat(name.length + 2)}${error.remedy}\n`);
}
