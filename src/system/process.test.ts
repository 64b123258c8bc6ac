/** Deadlines of other programs: they hold also where what a program began outlives it. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { run } from "./process.ts";

for (const [what, script] of [
  ["hangs", 'sleep 60 & echo "$!" >"$1"; wait'],
  ["ended", 'sleep 60 & echo "$!" >"$1"'],
] as const)
  test(`a program that ${what} keeps its deadline, though another one holds its output open`, {
    timeout: 20_000,
  }, async (t) => {
    const directory = await mkdtemp(join(tmpdir(), "twinboard-process-"));
    t.after(async () => await rm(directory, { recursive: true }));
    const file = join(directory, "pid");
    const running = run("sh", ["-c", script, "sh", file], { timeoutMs: 1000 });
    await assert.rejects(running, { code: "deadline-passed" });
    // It still holds the output open: nobody waited for it.
    process.kill(Number(await readFile(file, "utf8")), "SIGKILL");
  });
