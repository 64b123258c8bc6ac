/** The runner itself: a file that hangs, leaves something behind, ends early or skips without a reason has failed. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { canIsolate, type FileResult, spawnFile } from "./spawn-file.ts";

const isolate = canIsolate();
const needsIsolation = isolate ? false : "this user may not make process namespaces";

async function runBody(t: TestContext, body: string, limitMs = 20_000): Promise<FileResult> {
  const directory = mkdtempSync(join(tmpdir(), "runner-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, "probe.test.ts");
  writeFileSync(
    file,
    `import { test } from "node:test";\nimport { execFileSync, spawn } from "node:child_process";\n${body}`,
  );
  return await spawnFile(file, limitMs, isolate);
}

const failures = (result: FileResult): string[] =>
  result.failures.map(({ name, detail }) => `${name}: ${detail}`);

test("counts what passed, and what was skipped with its reason", async (t) => {
  const result = await runBody(t, `test("a", () => {}); test("b", { skip: "no card" }, () => {});`);
  assert.deepEqual(
    { passed: result.passed, failures: failures(result), skips: result.skips },
    { passed: 1, failures: [], skips: [{ name: "b", reason: "no card" }] },
  );
});

test("tells a failure with what was expected, and once for a suite", async (t) => {
  const result = await runBody(
    t,
    `import { describe } from "node:test"; describe("s", () => { test("x", () => { throw new Error("wrong"); }); });`,
  );
  assert.equal(result.failures.length, 1);
  assert.match(failures(result)[0] ?? "", /^x: [^]*Error: wrong/);
});

test("a skip without a reason is a failure", async (t) => {
  const result = await runBody(t, `test("a", { skip: true }, () => {});`);
  assert.deepEqual(failures(result), ["a: skipped without a reason"]);
});

test("a file without tests is a failure", async (t) => {
  assert.deepEqual(failures(await runBody(t, "")), ["the file: it holds no test"]);
});

test("a file that ends early is a failure", async (t) => {
  const result = await runBody(t, `test("a", () => process.exit(0)); test("b", () => {});`);
  assert.match(failures(result).join(), /the file: it ended early \(exit code 0\)/);
});

test("an error that is thrown after its test has ended is a failure", async (t) => {
  const result = await runBody(
    t,
    `test("a", () => { setTimeout(() => { throw new Error("late"); }, 20); });`,
  );
  assert.match(failures(result).join(), /the file: exit code 1/);
  assert.match(result.output, /Error: late/);
});

test("a file that hangs is ended, and named", async (t) => {
  const result = await runBody(
    t,
    `test("waits", () => new Promise(() => setInterval(() => {}, 1000)));`,
    1_500,
  );
  assert.deepEqual(failures(result), ["time limit: not at its end after 1.5 s, in: waits"]);
});

test("a process that is left behind is a failure, and ended", { skip: needsIsolation }, async (t) => {
  const body = `test("a", () => { spawn("sleep", ["86399"], { detached: true, stdio: "ignore", env: {} }).unref(); });`;
  assert.deepEqual(failures(await runBody(t, body)), ["left behind: process sleep 86399"]);
});

test("a network namespace that is left behind is a failure", { skip: needsIsolation }, async (t) => {
  const result = await runBody(t, `test("a", () => { execFileSync("ip", ["netns", "add", "forgotten"]); });`);
  assert.deepEqual(failures(result), ["left behind: network namespace forgotten"]);
});
