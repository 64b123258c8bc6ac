/** All of the environment of the integrator's program (docs/exec.md), but for what a single call adds. */
import { boardNames } from "../../board/board.ts";
import type { SystemNames } from "../../system/names.ts";

/** @param runDirectory the program's own directory, gone with a reboot and after `tear-down`. */
export function environmentOf(
  names: SystemNames,
  service: string,
  runDirectory: string,
): Record<string, string> {
  const environment: Record<string, string> = {
    PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin",
    TWINBOARD_SYSTEM: names.system,
    TWINBOARD_SERVICE: service,
    TWINBOARD_RUN: runDirectory,
  };
  for (const board of boardNames) {
    const suffix = board.toUpperCase();
    environment[`TWINBOARD_MGMT_CARD_${suffix}`] = names.card(board, "mgmt");
    environment[`TWINBOARD_SERVICE_CARD_${suffix}`] = names.card(board, "service");
    environment[`TWINBOARD_MGMT_ADDRESS_${suffix}`] =
      `${names.linkLocal(board, "mgmt")}%${names.card(board, "mgmt")}`;
  }
  return environment;
}
