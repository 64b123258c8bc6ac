/** What a process has begun: those that descend from it, and those of the sessions that they made. Read from /proc (proc(5), /proc/PID/stat). */
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

export interface ProcessRow {
  readonly pid: number;
  readonly parent: number;
  readonly session: number;
}

const pollMs = 5;

/** Of a process that leads a session also those are found whose parents have ended: they keep the session. */
export function kinOf(rows: readonly ProcessRow[], roots: Iterable<number>): number[] {
  const kin = new Set(roots);
  for (let before = -1; before !== kin.size; ) {
    before = kin.size;
    for (const { pid, parent, session } of rows) if (kin.has(parent) || kin.has(session)) kin.add(pid);
  }
  return rows.map(({ pid }) => pid).filter((pid) => kin.has(pid));
}

/**
 * Kills these and all their kin, and returns when none is left, or when the limit is over: a process may not leave the kernel. 0 and 1 are
 * passed over: everything is their kin.
 */
export async function killKin(roots: readonly number[], limitMs: number): Promise<void> {
  const deadline = performance.now() + limitMs;
  // Whose parent is dead by now is still known by its session.
  const known = new Set(roots.filter((pid) => pid > 1));
  for (;;) {
    const living = kinOf(processRows(), known);
    if (living.length === 0 || performance.now() > deadline) return;
    for (const pid of living) {
      known.add(pid);
      kill(pid);
    }
    await sleep(pollMs);
  }
}

/** Those that live; at once, so that they belong together. */
function processRows(): ProcessRow[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "latin1");
      const [state = "", parent, , session] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if ("ZX".includes(state)) return [];
      return [{ pid: Number(name), parent: Number(parent), session: Number(session) }];
    } catch {
      return [];
    }
  });
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has just ended.
  }
}
