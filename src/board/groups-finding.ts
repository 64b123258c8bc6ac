/** Whether the control groups of a host can hold its boards, of whatever kind: their processor shares, memory and cores. Changes nothing. */
import { lookForCpuGroups } from "../system/cgroup.ts";
import { whyNoCpusets } from "../system/cpuset-group.ts";
import { doubtful, type Finding, fine, unseen } from "../system/finding.ts";
import { lookForMemoryGroups } from "../system/memory-group.ts";

/** `placed`: the boards are to run on certain cores. */
export async function groupFindings(placed: boolean): Promise<Finding[]> {
  return [await shareFinding(), await memoryFinding(), ...(placed ? [await coresFinding()] : [])];
}

/** By what means a board that boots yields. */
async function shareFinding(): Promise<Finding> {
  const { way, reason, tree, delegated } = await lookForCpuGroups();
  const where = "/sys/fs/cgroup";
  if (way === "none")
    return doubtful(
      where,
      `a board that boots is not kept out of the other's way: ${reason}`,
      "mount cgroup2 with its cpu controller, where the daemon can write to it",
    );
  const whom = delegated ? "the other board, within the scope of both" : "everything else";
  if (reason === "") return fine(where, `${tree}: a board that boots yields to ${whom}, by ${way}`);
  return doubtful(
    where,
    `${tree}: a board that boots yields by ${way} only: ${reason}`,
    "use Linux 5.15 or later",
  );
}

async function memoryFinding(): Promise<Finding> {
  const where = "/sys/fs/cgroup";
  if (process.geteuid?.() !== 0)
    return unseen(where, "whether a board's memory can be limited was not tried", "run this as root");
  const found = await lookForMemoryGroups();
  if (found.path !== undefined) return fine(where, `a board's memory is limited by ${found.limitFile}`);
  return doubtful(
    where,
    `a board's memory is not limited: ${found.reason}`,
    "mount cgroup2 with its memory controller (kernel argument cgroup_enable=memory), where the daemon can write to it",
  );
}

async function coresFinding(): Promise<Finding> {
  const where = "placement.cores";
  if (process.geteuid?.() !== 0)
    return unseen(where, "whether groups can hold boards on their cores was not tried", "run this as root");
  const reason = await whyNoCpusets();
  if (reason === undefined) return fine(where, "a group holds each board on its cores");
  return doubtful(
    where,
    `boards are held on their cores by affinity alone, which their threads can change: ${reason}`,
    "mount cgroup2 with its cpuset controller, where the daemon can write to it",
  );
}
