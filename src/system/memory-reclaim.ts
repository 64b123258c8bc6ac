/**
 * Memory that a control group can do without is taken back for the host: pages of files, and what else there is room for in swap (kernel
 * documentation, admin-guide/cgroup-v2, `memory.reclaim`, Linux 5.19; admin-guide/cgroup-v1/memory, `force_empty`).
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { MemoryGroup } from "./memory-group.ts";

/** With much to write to a slow swap the kernel goes on after it. */
const limitMs = 5000;

/** Takes back what it can within seconds. Repeatable; nothing where there is no group, or the kernel has no such file. */
export async function reclaim(group: MemoryGroup): Promise<void> {
  if (group.path === undefined) return;
  const amount =
    group.limitFile === "memory.max"
      ? (await readFile(join(group.path, "memory.current"), "utf8").catch(() => "0")).trim()
      : "0";
  // It fails if not all of it could be taken, which is no error here.
  const file = group.limitFile === "memory.max" ? "memory.reclaim" : "memory.force_empty";
  const written = writeFile(join(group.path, file), amount, { flag: "r+" }).catch(() => undefined);
  await Promise.race([written, sleep(limitMs, undefined, { ref: false })]);
}
