/** `npm run demo` as a newcomer starts it: real boards, real rules, real load, from images to verdict. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import type { DemoReport } from "../../demo/report.ts";
import { run } from "../../src/system/process.ts";

const demo = resolve(import.meta.dirname, "../../demo/main.ts");
const limitMs = 280_000;
const reason = process.getuid?.() === 0 ? false : "needs root: network namespaces, cards, boards";

test("nobody notices the upgrade that is committed, nor the one that is sent back", {
  skip: reason,
}, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "demo-test-"));
  t.after(async () => await rm(directory, { recursive: true }));
  const file = join(directory, "report.json");
  const { stdout, exitCode } = await run(process.execPath, [demo, "--json", file], {
    timeoutMs: limitMs,
    allowedExitCodes: [1],
  });
  const told = stdout.toString();
  assert.equal(exitCode, 0, told);
  assert.match(told, /Nobody noticed/);
  const { upgrades, dormant } = JSON.parse(await readFile(file, "utf8")) as DemoReport;
  assert.deepEqual(
    upgrades.map(({ from, to, outcome }) => [from, to, outcome]),
    [
      ["1.0.0", "2.0.0", "committed"],
      ["2.0.0", "3.0.0", "rolled-back"],
    ],
  );
  for (const { requests, failed, resets, deadlineResets } of upgrades) {
    assert.ok(requests > 500, `${requests} requests were made`);
    assert.deepEqual({ failed, resets, deadlineResets }, { failed: 0, resets: 0, deadlineResets: 0 });
  }
  assert.equal(dormant.cpuNs, 0);
  assert.ok(dormant.seconds >= 10 && dormant.residentBytes > 0);
});
