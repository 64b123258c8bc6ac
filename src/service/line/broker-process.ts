/** The broker's process: started by the daemon so that it outlives it, found again by its control socket, never two of a system. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { TwinboardError } from "../../errors.ts";
import type { SystemNames } from "../../system/names.ts";
import { BrokerConnection } from "./broker-connection.ts";

export const brokerProgram = join(import.meta.dirname, "broker.ts");

/** Exit code of flock(1): another broker of the system has the lock. sysexits(3), EX_TEMPFAIL. */
const lockedExitCode = 75;
const startTimeoutMs = 10_000;
/** Until a broker that is just starting listens, or one that is just ending has ended. */
const againMs = 10;

/** All that the broker has: control socket, lock, the settings that it changed; gone with the last line. Mode 0700. */
export function linesDirectory(names: SystemNames): string {
  return join(names.runDirectory, "lines");
}

export function controlSocket(names: SystemNames): string {
  return join(linesDirectory(names), "control");
}

/** The broker, if it runs. Errors: `line-broker-unsuitable`, `deadline-passed`; the signal's reason. */
export async function findBroker(
  names: SystemNames,
  signal: AbortSignal,
): Promise<BrokerConnection | undefined> {
  const found = await BrokerConnection.open(controlSocket(names), signal);
  try {
    found?.requireSuitable();
    return found;
  } catch (error) {
    found?.close();
    throw error;
  }
}

/**
 * The broker, started if none runs. Repeatable, also at the same time.
 * Errors: `missing-program`, `command-failed` (it did not start), `line-broker-unsuitable`, `deadline-passed`; the signal's reason.
 */
export async function reachBroker(names: SystemNames, signal: AbortSignal): Promise<BrokerConnection> {
  const timeout = AbortSignal.timeout(startTimeoutMs);
  const within = AbortSignal.any([signal, timeout]);
  try {
    for (;;) {
      const found = (await findBroker(names, within)) ?? (await started(names, within));
      if (found !== undefined) return found;
      await sleep(againMs, undefined, { signal: within });
    }
  } catch (error) {
    if (!timeout.aborted || signal.aborted) throw error;
    throw new TwinboardError("deadline-passed", {
      detail: `the start of the broker of the lines (${startTimeoutMs} ms)`,
    });
  }
}

/** What the broker that ended last said, if it was ended by anything but its last line. */
export async function lastWords(names: SystemNames): Promise<string | undefined> {
  const text = await readFile(join(linesDirectory(names), "errors"), "utf8").catch(() => undefined);
  return text?.trim().slice(-1000);
}

/** Ends a broker that does not answer, and returns when it is gone. Repeatable. Errors: `deadline-passed`. */
export async function killBroker(names: SystemNames): Promise<void> {
  const directory = linesDirectory(names);
  const pid = Number((await readFile(join(directory, "lock"), "utf8").catch(() => "")).trim());
  const runs = async (): Promise<boolean> => {
    // Its id may be another process's by now.
    const words = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
    return words.includes(brokerProgram) && words.includes(directory);
  };
  const deadline = performance.now() + startTimeoutMs;
  while (await runs()) {
    if (performance.now() > deadline)
      throw new TwinboardError("deadline-passed", { detail: `the end of process ${pid}, a broker of lines` });
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has just ended.
    }
    await sleep(againMs);
  }
}

/** `undefined`: another one has the lock. */
async function started(names: SystemNames, signal: AbortSignal): Promise<BrokerConnection | undefined> {
  const directory = linesDirectory(names);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const errors = await open(join(directory, "errors"), "w", 0o600);
  try {
    const lock = ["-n", "-F", "-E", String(lockedExitCode), join(directory, "lock")];
    const child = spawn("flock", [...lock, process.execPath, brokerProgram, directory], {
      // Whatever is sent to the daemon's process group or session does not reach the broker.
      detached: true,
      stdio: ["ignore", "pipe", errors.fd],
      cwd: "/",
      // Each line may have one that waits until a port lets it send; files need some as well.
      env: { ...process.env, UV_THREADPOOL_SIZE: "24" },
    });
    const exitCode = await readiness(child, signal);
    if (exitCode === undefined) return await findBroker(names, signal);
    if (exitCode === lockedExitCode) return undefined;
    const said = (await lastWords(names)) || "it said nothing";
    throw new TwinboardError("command-failed", {
      detail: `the broker of the lines ended with exit code ${exitCode}: ${said}`,
    });
  } finally {
    await errors.close();
  }
}

/** `undefined`: it is ready. Errors: `missing-program`; the signal's reason. */
async function readiness(child: ChildProcess, signal: AbortSignal): Promise<number | undefined> {
  const output = child.stdout;
  try {
    const exited = once(child, "exit", { signal }).then(([code]) => (code as number | null) ?? -1);
    exited.catch(() => undefined);
    const ready = once(output ?? child, "data", { signal }).then(() => undefined);
    ready.catch(() => undefined);
    return await Promise.race([ready, exited]);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
    throw new TwinboardError("missing-program", { detail: "flock", cause });
  } finally {
    output?.destroy();
    child.unref();
  }
}
