/**
 * Memory that a control group can do without is taken back for the host: pages of files, and what else there is room for in swap (kernel
 * documentation, admin-guide/cgroup-v2, `memory.reclaim`, Linux 5.19; admin-guide/cgroup-v1/memory, `force_empty`).
 */
import { access, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { MemoryGroup } from "./memory-group.ts";

/** With much to write to a slow swap the kernel goes on after it. */
const usualLimitMs = 5000;

/**
 * Takes back what it can within seconds, and waits no longer than the signal lets it: the kernel goes on then. Repeatable; nothing where there
 * is no group, or the kernel has no such file.
 */
export async function reclaim(
  group: MemoryGroup,
  signal: AbortSignal,
  limitMs = usualLimitMs,
): Promise<void> {
  if (group.path === undefined || signal.aborted) return;
  const amount =
    group.limitFile === "memory.max"
      ? (await readFile(join(group.path, "memory.current"), "utf8").catch(() => "0")).trim()
      : "0";
  // It fails if not all of it could be taken, which is no error here.
  const written = writeFile(join(group.path, fileOf(group)), amount, { flag: "r+" }).catch(() => undefined);
  const over = new AbortController();
  const limit = AbortSignal.any([signal, over.signal]);
  await Promise.race([
    written,
    sleep(limitMs, undefined, { ref: false, signal: limit }).catch(() => undefined),
  ]);
  over.abort();
}

/** Why nothing can be taken back from a group there, or below it; `undefined` if nothing speaks against it. Changes nothing. */
export async function whyNoReclaim(group: MemoryGroup): Promise<string | undefined> {
  if (group.path === undefined) return group.reason;
  const path = join(group.path, fileOf(group));
  return await access(path).then(
    () => undefined,
    () => `this kernel has no ${path}`,
  );
}

/** Whether pages that are of no file can leave memory at all (proc(5), /proc/swaps: a heading, and a line each). */
export async function hasSwap(proc = "/proc"): Promise<boolean> {
  const text = await readFile(join(proc, "swaps"), "utf8").catch(() => "");
  return text.trim().split("\n").length > 1;
}

function fileOf({ limitFile }: Extract<MemoryGroup, { path: string }>): string {
  return limitFile === "memory.max" ? "memory.reclaim" : "memory.force_empty";
}
