/** Deadlines of other programs: they hold also where what a program began outlives it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "./process.ts";

// The programs that hold the output open end by themselves long after the test's deadline.
for (const [what, script] of [
  ["hangs", "sleep 60; true"],
  ["ended", "sleep 60 &"],
] as const)
  test(`a program that ${what} keeps its deadline, though another one holds its output open`, {
    timeout: 20_000,
  }, async () => {
    const running = run("sh", ["-c", script], { timeoutMs: 200 });
    await assert.rejects(running, { code: "deadline-passed" });
  });
