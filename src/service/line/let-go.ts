/** The end of lines: what the broker has of them, and what a broker that was killed left on the host. */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { TwinboardError } from "../../errors.ts";
import { orAborted } from "../../system/abort.ts";
import type { SystemNames } from "../../system/names.ts";
import { BrokerConnection } from "./broker-connection.ts";
import { controlSocket, killBroker, linesDirectory } from "./broker-process.ts";
import type { Requests } from "./protocol.ts";
import { putBackSettings, settingsFile } from "./settings.ts";

const endTimeoutMs = 10_000;

/**
 * Lets go of one line, or of all besides those of `keep` (a configuration that has them no more); with the last one the broker ends,
 * and so does one that does not answer. Devices have their own settings again. Repeatable. Errors: `deadline-passed`; the signal's reason.
 */
export async function letGoOfLines(
  names: SystemNames,
  which: Requests["remove"]["sent"],
  signal: AbortSignal,
): Promise<void> {
  const over = AbortSignal.any([signal, AbortSignal.timeout(endTimeoutMs)]);
  try {
    await letBrokerGo(names, which, over);
  } catch (error) {
    signal.throwIfAborted();
    const hangs = over.aborted || (error instanceof TwinboardError && error.code === "deadline-passed");
    if (!hangs) throw error;
    await killBroker(names);
  }
  const directory = linesDirectory(names);
  const files = await readdir(directory).catch(() => []);
  const kept = (name: string): boolean => ("keep" in which ? which.keep.includes(name) : which.name !== name);
  const settings = files.filter((file) => file.endsWith(settingsFile("")));
  const others = settings.filter((file) => kept(file.slice(0, -settingsFile("").length)));
  for (const file of settings) if (!others.includes(file)) await putBackSettings(join(directory, file));
  const runs = await BrokerConnection.open(controlSocket(names), signal);
  runs?.close();
  if (runs === undefined && others.length === 0) await rm(directory, { recursive: true, force: true });
}

async function letBrokerGo(
  names: SystemNames,
  which: Requests["remove"]["sent"],
  signal: AbortSignal,
): Promise<void> {
  const broker = await BrokerConnection.open(controlSocket(names), signal);
  try {
    if (broker !== undefined && (await linesLeft(broker, which, signal)) === 0)
      await orAborted(broker.ended, signal);
  } finally {
    broker?.close();
  }
}

async function linesLeft(
  broker: BrokerConnection,
  which: Requests["remove"]["sent"],
  signal: AbortSignal,
): Promise<number> {
  try {
    broker.requireSuitable();
    return (await broker.ask("remove", which, signal)).left;
  } catch (error) {
    const { code } = error instanceof TwinboardError ? error : { code: undefined };
    if (code === "service-not-set-up") return 0;
    if (code !== "line-broker-unsuitable") throw error;
    // Nothing else is understood by both sides.
    process.kill(broker.pid, "SIGTERM");
    return 0;
  }
}
