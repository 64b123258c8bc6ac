/**
 * Whether a host is fit for a system, and when it is asked. To ask takes programs by the dozen, and meanwhile nobody may be serving: where a daemon
 * has found the host fit for this very configuration since it booted, and what that daemon made is still in place, what was left is taken up first.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { boardNames } from "./board/board.ts";
import { findingsOn } from "./check.ts";
import { version } from "./cli/version.ts";
import { acceleratorCache } from "./composition/boards.ts";
import type { Config } from "./config/config.ts";
import { readFileIfThere, writeFileAtomically } from "./system/files.ts";
import type { Finding } from "./system/finding.ts";
import { bootId } from "./system/host.ts";
import { linkNames } from "./system/links.ts";
import type { Log } from "./system/log.ts";
import { systemNames } from "./system/names.ts";

/** Whether the host need not be asked before it is used. For root. Starts no program, changes nothing. */
export async function wasFoundFit(config: Config): Promise<boolean> {
  const { system } = config;
  if ((await readFileIfThere(noteOf(system))) !== (await findingOf(config))) return false;
  // The note may outlive what it tells of (another network namespace, a container that was made anew): the kernel says what is in place.
  const there = new Set(await linkNames());
  return boardNames.every((board) => there.has(systemNames(system).card(board, "mgmt")));
}

/** The host was asked, and nothing stands in the way. By who holds the system's lock; gone when the system is taken down. */
export async function noteFit(config: Config): Promise<void> {
  await writeFileAtomically(noteOf(config.system), await findingOf(config));
}

/** Logs all that stands in the way, and throws the first. Errors: those of what the host lacks. */
export async function requireFit(config: Config, log: Log): Promise<void> {
  const findings = await ask(config);
  const [first, ...others] = findings.filter(({ error }) => error !== undefined);
  for (const { what, remedy } of others) log("error", what, { remedy });
  if (first?.error !== undefined) throw first.error;
  tell(findings, log);
}

/** Logs what the host has come to lack. It stops nothing: what serves already goes on serving. Errors: the signal's reason. */
export async function tellUnfit(config: Config, log: Log, signal: AbortSignal): Promise<void> {
  const findings = await ask(config, signal);
  // What was asked when the daemon ended has no true answer.
  signal.throwIfAborted();
  tell(findings, log);
}

async function ask(config: Config, signal?: AbortSignal): Promise<Finding[]> {
  const within = signal === undefined ? {} : { signal };
  return await findingsOn(config, { daemon: "self", acceleratorCache: acceleratorCache(config), ...within });
}

function tell(findings: readonly Finding[], log: Log): void {
  for (const { severity, where, what, remedy } of findings)
    if (severity !== "ok") log(severity === "error" ? "error" : "warning", `${where}: ${what}`, { remedy });
}

function noteOf(system: string): string {
  return join(systemNames(system).runDirectory, "fit");
}

/** Of another boot, configuration or version it is another one. */
async function findingOf(config: Config): Promise<string> {
  const about = JSON.stringify([version, await bootId(), config]);
  return `${createHash("sha256").update(about).digest("hex")}\n`;
}
