/** The drivers of a configuration's services that no transaction of the network moves. A new one is a line in each of these. */
import type { Board, BoardDevice, BoardName } from "../board/board.ts";
import { architectureOf } from "../board/qemu/architecture.ts";
import { lineSocket } from "../board/qemu/line-ports.ts";
import type { Config } from "../config/config.ts";
import { asTwinboardError, type TwinboardError } from "../errors.ts";
import { CanService } from "../service/can/can.ts";
import { canFindings } from "../service/can/host.ts";
import { DeviceService } from "../service/device/device.ts";
import { deviceFindings } from "../service/device/host.ts";
import { ExecService } from "../service/exec/exec.ts";
import { execFindings } from "../service/exec/host.ts";
import { type FormerLease, formerLeases, type LeaseKind } from "../service/lease-memory.ts";
import type { LeasedService } from "../service/leased.ts";
import type { BoardPort } from "../service/line/board-end.ts";
import { lineFindings } from "../service/line/host.ts";
import { letGoOfLines } from "../service/line/let-go.ts";
import { LineService } from "../service/line/line-service.ts";
import type { Finding } from "../system/finding.ts";
import { type SystemNames, systemNames } from "../system/names.ts";

/** @param owner whom the boards' processes run as */
export function leasedOf(
  { system, lines, execs, devices, cans }: Config,
  owner: { readonly uid: number; readonly gid: number },
  boards: Readonly<Record<BoardName, Board>>,
): LeasedService[] {
  const names = systemNames(system);
  const { uid, gid } = owner;
  return [
    ...lines.map((line) => {
      const port = (board: BoardName): BoardPort => ({ path: lineSocket(names, board, line.name), uid });
      return new LineService({ names, line, ports: { a: port("a"), b: port("b") } });
    }),
    ...execs.map((exec) => new ExecService({ names, ...exec })),
    ...devices.map((device) => new DeviceService({ names, boards, gid, ...device })),
    ...cans.map((can) => new CanService({ names, ...can })),
  ];
}

/**
 * What an earlier configuration had and this one has no more is let go of; all of it with `nothing: true`. Returns what could not be,
 * which is tried again the next time. Errors: the signal's reason.
 */
export async function letGoOfFormer(
  { system, lines, execs, devices, cans }: Config,
  boards: Readonly<Record<BoardName, Board>>,
  signal: AbortSignal,
  { nothing = false }: { readonly nothing?: boolean } = {},
): Promise<TwinboardError[]> {
  const names = systemNames(system);
  const keep = nothing ? [] : lines.map(({ name }) => name);
  const failed: TwinboardError[] = [];
  const orTell = (error: unknown): void => {
    signal.throwIfAborted();
    failed.push(asTwinboardError(error));
  };
  await letGoOfLines(names, { keep }, signal).catch(orTell);
  const of = (kind: LeaseKind, services: readonly { readonly name: string }[]) =>
    nothing ? [] : services.map(({ name }) => ({ kind, name }));
  const kept = [...of("exec", execs), ...of("device", devices), ...of("can", cans)];
  for (const former of await formerLeases(names, kept))
    await formerService(former, names, boards).tearDown(signal).catch(orTell);
  return failed;
}

/** As it was made; its directory is root's alone, so what is written there is what was written. */
function formerService(
  { kind, name, spec }: FormerLease,
  names: SystemNames,
  boards: Readonly<Record<BoardName, Board>>,
): LeasedService {
  if (kind === "exec") return new ExecService({ ...(spec as Config["execs"][number]), names, name });
  if (kind === "can") return new CanService({ ...(spec as Config["cans"][number]), names, name });
  // Nothing is given to a board any more, so no group needs to open it.
  return new DeviceService({ ...(spec as Config["devices"][number]), names, name, boards, gid: 0 });
}

/** What these services need of the host. Changes nothing. */
export async function leasedFindings(config: Config, signal: AbortSignal): Promise<Finding[]> {
  const { system, boards, lines, execs, devices, cans } = config;
  const { program } = architectureOf(boards.architecture ?? undefined);
  return [
    ...(await lineFindings(systemNames(system), lines)),
    ...(await execFindings(execs)),
    ...(await deviceFindings(devices, program, signal)),
    ...(await canFindings(cans, signal)),
  ];
}

/** What a board can be given while it runs. */
export function boardDevices({ devices }: Config): BoardDevice[] {
  return devices.map(({ name, device }) => ({ id: name, kind: device.kind }));
}
