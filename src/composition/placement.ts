/** Which cores a configuration gives its boards, and a daemon that takes over what its file now says of that. */
import { isDeepStrictEqual } from "node:util";
import type { Placed } from "../api/schemas.ts";
import type { BoardName, BoardPlacement } from "../board/board.ts";
import type { Config } from "../config/config.ts";
import { loadConfig } from "../config/load.ts";
import { placementFindings } from "../config/placement-findings.ts";
import { coreListText } from "../system/core-list.ts";
import { hostCores, ownCores } from "../system/host-cores.ts";
import type { System } from "../upgrade/system.ts";

const placeTimeoutMs = 20_000;

export function placementOf({ placement }: Pick<Config, "placement">, name: BoardName): BoardPlacement {
  return { cores: placement.cores[name] ?? null, emulator: placement.emulator[name] ?? null };
}

/**
 * Reads the configuration's file again, and moves the boards. Nothing else of it is taken over.
 * Errors: `busy`, `config-invalid` (also cores that the host has not: nothing was moved), `command-failed`.
 */
export async function placeAgain(
  system: Pick<System, "place">,
  served: Config,
  signal: AbortSignal,
): Promise<Placed> {
  const config = await loadConfig(served.file);
  for (const { error } of placementFindings(config, await hostCores())) if (error !== undefined) throw error;
  const placements = { a: placementOf(config, "a"), b: placementOf(config, "b") };
  await system.place(placements, AbortSignal.any([signal, AbortSignal.timeout(placeTimeoutMs)]));
  const { placement, positions } = served;
  const boards = { a: listsOf(placements.a), b: listsOf(placements.b) };
  return { boards, otherChanges: !isDeepStrictEqual({ ...config, placement, positions }, served) };
}

function listsOf({ cores, emulator }: BoardPlacement): Placed["boards"]["a"] {
  return { cores: listOf(cores ?? ownCores()), emulator: listOf(emulator) };
}

function listOf(cores: readonly number[] | null): string | null {
  return cores === null ? null : coreListText(cores);
}
