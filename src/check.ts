/** `twinboard check`: what a configuration finds on this host, put together from what each driver needs of it. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { keyringFinding } from "./bundle/keyring.ts";
import type { Check } from "./cli/check.ts";
import { boardFindings } from "./composition/boards.ts";
import { serviceFindings } from "./composition/service.ts";
import { wayFindings } from "./composition/ways.ts";
import type { Config } from "./config/config.ts";
import { hostFindings } from "./config/host.ts";
import { loadConfig } from "./config/load.ts";
import { TwinboardError } from "./errors.ts";
import { type Finding, unseen } from "./system/finding.ts";
import { processStartTicks } from "./system/host.ts";
import { systemNames } from "./system/names.ts";

const limitMs = 60_000;

/** Everything at once, as the verb shows it. Errors: `config-invalid`. */
export const check: Check = async ({ config: file }) => {
  const config = await loadConfig(file);
  const daemon = await daemonOf(config);
  const findings = await findingsOn(config, { daemon });
  // What was chosen, and what could have been.
  const ways = await wayFindings(config, AbortSignal.timeout(limitMs));
  return { system: config.system, daemon, findings: [...findings, ...ways] };
};

/**
 * What this host has and lacks for the configuration; changes nothing. One list for the verb and for the daemon (`fitness.ts`).
 * `daemon`: see `hostFindings`. `acceleratorCache`: see `machineFindings`. `signal`: what is asked when it aborts has no true answer.
 */
export async function findingsOn(
  config: Config,
  options: {
    readonly daemon: number | "self" | null;
    readonly acceleratorCache?: string;
    readonly signal?: AbortSignal;
  },
): Promise<Finding[]> {
  const { trust } = config;
  const limit = AbortSignal.timeout(limitMs);
  const signal = options.signal === undefined ? limit : AbortSignal.any([options.signal, limit]);
  const looks: Record<string, () => Promise<Finding[]>> = {
    host: () => hostFindings(config, options.daemon),
    "trust.keyring": async () => [await keyringFinding(trust.keyring, Date.now())],
    boards: () => boardFindings(config, signal, options.acceleratorCache),
    services: () => serviceFindings(config, signal),
  };
  const found = Object.entries(looks).map(async ([where, look]) => {
    try {
      return await look();
    } catch (error) {
      if (!(error instanceof TwinboardError)) throw error;
      return [unseen(where, `not looked at: ${error.message}`, error.remedy)];
    }
  });
  return (await Promise.all(found)).flat();
}

/** Process id of the daemon that serves the system, by the lock that it holds. */
async function daemonOf({ system }: Config): Promise<number | null> {
  const pid = Number(await readFile(join(systemNames(system).runDirectory, "lock"), "utf8").catch(() => ""));
  return pid > 0 && (await processStartTicks(pid)) !== undefined ? pid : null;
}
