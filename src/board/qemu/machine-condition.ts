/** What a machine does, by its marks, and by QEMU's own account if it does not sleep. */
import type { BoardCondition } from "../board.ts";
import type { MachineMarks } from "./machine-marks.ts";
import { isAlive, type MachineProcess, machineUsage } from "./machine-process.ts";
import type { MachineWatch } from "./machine-watch.ts";

const statusTimeoutMs = 1000;
/** A machine that sleeps notices when a daemon lets go of it, which takes it a millisecond; a guest that was let go on takes more than this. */
const idleNs = 100_000_000;

export async function machineCondition(
  machine: MachineProcess | undefined,
  marks: MachineMarks,
  watch: MachineWatch,
): Promise<BoardCondition> {
  if (machine === undefined) return { state: "off" };
  if ((await marks.isDormant(machine)) && !(await hasWorked(machine, marks)))
    return { state: "dormant", ...machine };
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

/** Whether one that was laid to sleep has used the processor since: somebody else may have let it go on, and only QEMU knows. */
async function hasWorked(machine: MachineProcess, marks: MachineMarks): Promise<boolean> {
  const atRest = await marks.cpuNsAtRest(machine);
  const usage = atRest === undefined ? undefined : machineUsage(machine.pid);
  return atRest !== undefined && usage !== undefined && usage.cpuNs - atRest > idleNs;
}
