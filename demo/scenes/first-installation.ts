/** Software comes to a device that has nothing yet. */
import type { Lab } from "../lab.ts";
import { command, phaseNarrator } from "../narrate.ts";

/** Errors: it is not committed. */
export async function firstInstallation(lab: Lab, bundle: string, signal: AbortSignal): Promise<void> {
  command(`twinboard upgrade ${bundle}`);
  const { outcome, error } = await lab.device.upgrade(bundle, phaseNarrator("installation"), signal);
  if (outcome !== "committed")
    throw new Error(`the first installation is ${outcome}: ${error?.message ?? "no reason given"}`);
}
