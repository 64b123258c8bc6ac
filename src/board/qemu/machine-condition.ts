/** What a machine does, by its marks, and by QEMU's own account if it does not sleep. */
import type { BoardCondition } from "../board.ts";
import type { MachineMarks } from "./machine-marks.ts";
import { isAlive, type MachineProcess } from "./machine-process.ts";
import type { MachineWatch } from "./machine-watch.ts";

const statusTimeoutMs = 1000;

export async function machineCondition(
  machine: MachineProcess | undefined,
  marks: MachineMarks,
  watch: MachineWatch,
): Promise<BoardCondition> {
  if (machine === undefined) return { state: "off" };
  if (await marks.isDormant(machine)) return { state: "dormant", ...machine };
  const death = await marks.death(machine);
  if (death !== undefined) return { state: "dead", ...machine, reason: death.detail };
  // A QEMU that cannot be asked is, as far as the kernel tells, a process that runs.
  const signal = AbortSignal.timeout(statusTimeoutMs);
  const status = await watch
    .session(machine, signal)
    .then((session) => session.runState(signal))
    .catch(() => ({ state: "running" as const }));
  if (status.state === "dead") return { ...status, ...machine, reason: status.reason };
  return (await isAlive(machine)) ? { ...status, ...machine } : { state: "off" };
}
