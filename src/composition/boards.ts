/** The drivers of a configuration's boards. A new kind is a line in each of these. */
import { join } from "node:path";
import type { Board, BoardName } from "../board/board.ts";
import { ContainerBoard } from "../board/container/container-board.ts";
import { containerFindings } from "../board/container/host.ts";
import { chooseRuntime } from "../board/container/runtime.ts";
import { groupFindings } from "../board/groups-finding.ts";
import { chooseAccelerator } from "../board/qemu/accelerator.ts";
import type { MachineUser } from "../board/qemu/board-directories.ts";
import { machineFindings } from "../board/qemu/host.ts";
import { QemuBoard } from "../board/qemu/qemu-board.ts";
import type { Config } from "../config/config.ts";
import type { Finding } from "../system/finding.ts";
import type { Log } from "../system/log.ts";
import { systemNames } from "../system/names.ts";
import { identityOf } from "./identity.ts";
import { boardDevices } from "./leased.ts";
import { placementOf } from "./placement.ts";

type MakeBoard = (name: BoardName) => Board;

const probeTimeoutMs = 30_000;

/** @param user whom the processes of machines run as. Errors: those of what has to be found on the host. */
export async function boardsOf(config: Config, user: MachineUser, log: Log): Promise<MakeBoard> {
  return config.boards.kind === "container"
    ? await containersOf(config, log)
    : await machinesOf(config, user, log);
}

/** What the boards need of the host. Changes nothing. `acceleratorCache`: see `machineFindings`. */
export async function boardFindings(
  { boards }: Config,
  signal: AbortSignal,
  acceleratorCache?: string,
): Promise<Finding[]> {
  return boards.kind === "container"
    ? [...(await containerFindings(boards.runtime, signal)), ...(await groupFindings())]
    : await machineFindings(boards.accelerator, signal, acceleratorCache);
}

/** Where what is found about KVM is kept until the host boots again. */
export function acceleratorCache({ stateDirectory }: Config): string {
  return join(stateDirectory, "accelerator.json");
}

async function containersOf(config: Config, log: Log): Promise<MakeBoard> {
  const { boards, network, stateDirectory, system } = config;
  const { name: runtime, version } = await chooseRuntime(boards.runtime, AbortSignal.timeout(probeTimeoutMs));
  log("info", "runtime", { runtime, version });
  const names = systemNames(system);
  return (name) =>
    new ContainerBoard({
      name,
      names,
      memoryBytes: boards.memoryBytes,
      cpus: boards.cpus,
      placement: placementOf(config, name),
      runtime,
      identity: identityOf(network, names, name),
      stateDirectory,
      watchdogMs: boards.watchdogMs ?? undefined,
    });
}

async function machinesOf(config: Config, user: MachineUser, log: Log): Promise<MakeBoard> {
  const { boards, network, stateDirectory, system } = config;
  const { accelerator, reason } = await chooseAccelerator(
    boards.accelerator,
    AbortSignal.timeout(probeTimeoutMs),
    acceleratorCache(config),
  );
  log("info", "accelerator", { accelerator, reason });
  const names = systemNames(system);
  return (name) =>
    new QemuBoard({
      name,
      names,
      memoryBytes: boards.memoryBytes,
      cpus: boards.cpus,
      placement: placementOf(config, name),
      accelerator,
      user,
      identity: identityOf(network, names, name),
      stateDirectory,
      watchdogMs: boards.watchdogMs ?? undefined,
      lines: config.lines,
      devices: boardDevices(config),
      cans: config.cans,
    });
}
