/** The driver's part of how the host holds a container: all processes of its namespace, and its time by its group's account. */
import type { BoardPlacement } from "../board.ts";
import { Confinement } from "../confinement.ts";
import type { ContainerGroups } from "./container-groups.ts";
import { findLiving, processesOf } from "./container-process.ts";
import { ContainerSchedule } from "./container-schedule.ts";

export function containerConfinement(
  groups: ContainerGroups,
  records: string,
  placement: BoardPlacement | undefined,
): Confinement {
  const schedule = new ContainerSchedule(groups.container);
  return new Confinement({
    groups,
    placement,
    processes: async () => {
      const process = await findLiving(records);
      return process === undefined ? [] : await processesOf(process);
    },
    schedule: async () => await schedule.look(),
    // Its own threads do not wait for each other: while one of them runs, the group does.
    rivals: 1,
    memory: { limitBytes: groups.memoryLimitBytes, basis: "boards.memory", victim: "a process of it" },
  });
}
