/** The drivers of a configuration's boards. A new kind is a line in each of these. */
import { join } from "node:path";
import type { Board, BoardName } from "../board/board.ts";
import { type ConsoleLog, consoleOf } from "../board/console.ts";
import { ContainerBoard } from "../board/container/container-board.ts";
import { containerFindings } from "../board/container/host.ts";
import { chooseRuntime } from "../board/container/runtime.ts";
import { EitherBoard } from "../board/either-board.ts";
import { groupFindings } from "../board/groups-finding.ts";
import type { BoardKind } from "../board/kind.ts";
import { leanFindings } from "../board/lean-finding.ts";
import { chooseAccelerator } from "../board/qemu/accelerator.ts";
import { architectureOf } from "../board/qemu/architecture.ts";
import type { MachineUser } from "../board/qemu/board-directories.ts";
import { machineFindings } from "../board/qemu/host.ts";
import { QemuBoard } from "../board/qemu/qemu-board.ts";
import { type Config, placeText } from "../config/config.ts";
import { TwinboardError } from "../errors.ts";
import { type Finding, lacking } from "../system/finding.ts";
import { ownCores } from "../system/host-cores.ts";
import type { Log } from "../system/log.ts";
import { systemNames } from "../system/names.ts";
import { identityOf } from "./identity.ts";
import { kindFinding, kindsIn, refuseOtherKinds } from "./kinds.ts";
import { boardDevices } from "./leased.ts";
import { placementOf } from "./placement.ts";

type MakeBoard = (name: BoardName) => Board;
/** Of a board that may be either kind the drivers share the console. */
type MakeDriver = (name: BoardName, console: ConsoleLog) => Board;

const probeTimeoutMs = 30_000;

/** @param user whom the processes of machines run as. Errors: those of what has to be found on the host. */
export async function boardsOf(config: Config, user: MachineUser, log: Log): Promise<MakeBoard> {
  const { kinds } = config.boards;
  await refuseOtherKinds(systemNames(config.system), kinds);
  const makers = new Map<BoardKind, MakeDriver>();
  for (const kind of kindsIn(config))
    makers.set(
      kind,
      kind === "container" ? await containersOf(config, log) : await machinesOf(config, user, log),
    );
  return (name) => {
    const console = consoleOf(config.stateDirectory, name);
    const driverOf = (kind: BoardKind): Board => {
      const make = makers.get(kind);
      if (make === undefined) throw new TwinboardError("internal", { detail: `no driver for ${kind}` });
      return make(name, console);
    };
    const [usual, ...others] = kinds[name];
    const driver = driverOf(usual);
    return others.length === 0 ? driver : new EitherBoard([driver, ...others.map(driverOf)]);
  };
}

/** What the boards need of the host. Changes nothing. `acceleratorCache`: see `machineFindings`. */
export async function boardFindings(
  config: Config,
  signal: AbortSignal,
  acceleratorCache?: string,
): Promise<Finding[]> {
  const { boards } = config;
  const kinds = kindsIn(config);
  return [
    await kindFinding(systemNames(config.system), boards.kinds),
    ...(kinds.includes("qemu") ? await machinesFindings(config, signal, acceleratorCache) : []),
    ...(kinds.includes("container") ? await containerFindings(boards.runtime, signal) : []),
    ...(await groupFindings(Object.keys(config.placement.cores).length > 0 || ownCores() !== null)),
    ...(boards.dormancy === "lean" ? await leanFindings(kinds) : []),
  ];
}

async function machinesFindings(
  config: Config,
  signal: AbortSignal,
  acceleratorCache?: string,
): Promise<Finding[]> {
  const { boards, lines } = config;
  const architecture = architectureOf(boards.architecture ?? undefined);
  const line = lines.find(({ port }) => port === "tty");
  if (line !== undefined && !architecture.hasPcPorts) {
    const where = `services.${line.name}`;
    const detail = `${placeText(config, where)}: port tty is a PC's, and these machines are ${architecture.name}`;
    return [lacking(where, "config-invalid", detail, "say port: virtio")];
  }
  return await machineFindings(architecture, boards.accelerator, signal, acceleratorCache);
}

/** Where what is found about KVM is kept until the host boots again. */
export function acceleratorCache({ stateDirectory }: Config): string {
  return join(stateDirectory, "accelerator.json");
}

async function containersOf(config: Config, log: Log): Promise<MakeDriver> {
  const { boards, network, stateDirectory, system } = config;
  const { name: runtime, version } = await chooseRuntime(boards.runtime, AbortSignal.timeout(probeTimeoutMs));
  log("info", "runtime", { runtime, version });
  const names = systemNames(system);
  return (name, console) =>
    new ContainerBoard({
      name,
      names,
      console,
      memoryBytes: boards.memoryBytes,
      isLean: boards.dormancy === "lean",
      cpus: boards.cpus,
      placement: placementOf(config, name),
      runtime,
      identity: identityOf(network, names, name),
      stateDirectory,
      watchdogMs: boards.watchdogMs ?? undefined,
    });
}

async function machinesOf(config: Config, user: MachineUser, log: Log): Promise<MakeDriver> {
  const { boards, network, stateDirectory, system } = config;
  const architecture = architectureOf(boards.architecture ?? undefined);
  const { accelerator, reason } = await chooseAccelerator(
    architecture,
    boards.accelerator,
    AbortSignal.timeout(probeTimeoutMs),
    acceleratorCache(config),
  );
  log("info", "accelerator", { accelerator, reason, architecture: architecture.name });
  const names = systemNames(system);
  return (name, console) =>
    new QemuBoard({
      name,
      names,
      console,
      memoryBytes: boards.memoryBytes,
      isLean: boards.dormancy === "lean",
      cpus: boards.cpus,
      placement: placementOf(config, name),
      architecture: architecture.name,
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
