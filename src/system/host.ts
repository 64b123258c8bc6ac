/** What tells one boot of the host from another, and one process from a later one with the same id. */
import { readFile } from "node:fs/promises";
import { readAtOnce } from "./memory-file.ts";

/** The kernel's boot id (random(4)): new at each boot of the host. */
export async function bootId(): Promise<string> {
  return (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
}

/** Start time of a process in clock ticks since boot (proc(5), stat field 22); `undefined` if it does not run or is a zombie. */
export async function processStartTicks(pid: number): Promise<number | undefined> {
  const stat = readAtOnce(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The second field is the program's name in parentheses and may itself hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (fields[0] === "Z" || fields[0] === "X") return undefined;
  const ticks = Number(fields[19]);
  return Number.isFinite(ticks) ? ticks : undefined;
}
