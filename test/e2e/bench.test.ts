/** `npm run bench -- upgrades-in-a-row`, short: real upgrades of real machines under every kind of client, and what it writes. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { run } from "../../src/system/process.ts";

const bench = resolve(import.meta.dirname, "../../bench/main.ts");
const limitMs = 280_000;
const reason = process.getuid?.() === 0 ? false : "needs root: network namespaces, cards, boards";

test("upgrades in a row lose nothing, and the figures are those that the documents name", {
  skip: reason,
}, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "bench-test-"));
  t.after(async () => await rm(directory, { recursive: true }));
  const file = join(directory, "figures.json");
  const args = [bench, "upgrades-in-a-row", "--boards", "qemu", "--count", "2", "--json", file];
  const { stdout, exitCode } = await run(process.execPath, args, {
    timeoutMs: limitMs,
    allowedExitCodes: [1],
    signal: t.signal,
  });
  assert.equal(exitCode, 0, stdout.toString());
  const figures = JSON.parse(await readFile(file, "utf8")) as Record<string, unknown>;
  const { requests, longestGapMs, baselineLongestGapMs, daemonRssMiB, ...exact } = figures;
  assert.deepEqual(exact, { upgrades: 2, failed: 0, resets: 0, deadlineResets: 0 });
  assert.ok(Number(requests) > 1000, `${String(requests)} requests were made`);
  // At 50 new connections a second.
  assert.ok(Number(longestGapMs) >= 20 && Number(baselineLongestGapMs) >= 20);
  assert.equal((daemonRssMiB as number[]).length, 2);
  for (const mebibytes of daemonRssMiB as number[]) assert.ok(mebibytes > 10 && mebibytes < 1000);
  t.diagnostic(JSON.stringify(figures));
});
