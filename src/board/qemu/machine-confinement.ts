/** The driver's part of how the host holds a machine: its threads by their names, and its time by the scheduler's account of them. */
import type { BoardPlacement } from "../board.ts";
import { Confinement } from "../confinement.ts";
import type { MachineGroups } from "./machine-groups.ts";
import type { MachineProcess } from "./machine-process.ts";
import { MachineSchedule } from "./machine-schedule.ts";
import { isProcessor } from "./machine-threads.ts";

export interface MachineConfinementOptions {
  readonly groups: MachineGroups;
  readonly placement: BoardPlacement | undefined;
  /** Virtual processors. */
  readonly cpus: number;
  /** The machine that runs at this moment. */
  readonly find: () => Promise<MachineProcess | undefined>;
}

export function machineConfinement({
  groups,
  placement,
  cpus,
  find,
}: MachineConfinementOptions): Confinement {
  const schedule = new MachineSchedule();
  return new Confinement({
    groups,
    placement,
    isProcessor,
    processes: async () => {
      const machine = await find();
      return machine === undefined ? [] : [machine.pid];
    },
    schedule: async () => {
      const machine = await find();
      return machine === undefined ? undefined : schedule.look(machine.pid);
    },
    beginStretch: () => schedule.forget(),
    rivals: cpus,
    memory: {
      limitBytes: groups.memoryLimitBytes,
      basis: "boards.memory and what QEMU needs",
      victim: "it",
    },
  });
}
