import assert from "node:assert/strict";
import { test } from "node:test";
import { awaitStart } from "./awaited-start.ts";
import { lockedExitCode } from "./launch-script.ts";

/** How a start fails whose QEMU ended so before it could be found, and whether what it had begun was ended. */
async function failureOf(
  ended: number | NodeJS.Signals,
): Promise<{ readonly error: unknown; stopped: boolean }> {
  const seen = { error: undefined as unknown, stopped: false };
  const start = {
    instance: "one",
    exit: Promise.resolve(ended),
    find: () => Promise.resolve(undefined),
    attach: () => Promise.resolve(undefined),
    lastWords: () => Promise.resolve("its words"),
    stop: async () => {
      seen.stopped = true;
      await Promise.reject(new Error("it hangs"));
    },
  };
  await awaitStart(start, new AbortController().signal).catch((error: unknown) => (seen.error = error));
  return seen;
}

for (const [ended, code, message, stops] of [
  [
    "SIGKILL",
    "board-start-killed",
    /QEMU was killed \(SIGKILL\): its words; .*could not be ended: it hangs/,
    true,
  ],
  ["SIGTERM", "board-start-killed", /QEMU was killed \(SIGTERM\)/, true],
  ["SIGSEGV", "board-start-failed", /ended by SIGSEGV: its words/, false],
  [1, "board-start-failed", /exit code 1: its words/, false],
  [lockedExitCode, "board-start-failed", /another process of this board is being started/, false],
] as const)
  test(`QEMU that ends by ${ended} before it answers is a ${code}`, async () => {
    const { error, stopped } = await failureOf(ended);
    assert.throws(
      () => {
        throw error;
      },
      { code, message },
    );
    assert.equal(stopped, stops);
  });
