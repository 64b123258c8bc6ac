/** `npm run bench -- upgrades-in-a-row`, short: real upgrades of containers under load, and what it writes. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { whyNoContainers } from "../fixtures/container/subject.ts";

const bench = resolve(import.meta.dirname, "../../bench/main.ts");
const limitMs = 240_000;
const reason =
  process.getuid?.() === 0 ? await whyNoContainers() : "needs root: network namespaces, cards, boards";

test("upgrades in a row lose nothing, and the figures are those that the documents name", {
  skip: reason,
}, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "bench-test-"));
  t.after(async () => await rm(directory, { recursive: true }));
  const [file, plot] = [join(directory, "figures.json"), join(directory, "plot.svg")];
  const options = ["--boards", "container", "--count", "2", "--json", file, "--plot", plot];
  const args = [bench, "upgrades-in-a-row", ...options];
  // What it says is shown by whoever runs this test, also when it does not come to its end.
  const limit = AbortSignal.any([t.signal, AbortSignal.timeout(limitMs)]);
  const child = spawn(process.execPath, args, { stdio: ["ignore", "inherit", "inherit"] });
  // By SIGTERM it takes its lab down.
  limit.addEventListener("abort", () => child.kill("SIGTERM"), { once: true });
  const [exitCode] = (await once(child, "exit")) as [number | null];
  assert.equal(exitCode, 0);
  const figures = JSON.parse(await readFile(file, "utf8")) as Record<string, unknown>;
  const {
    requests,
    repeated,
    longestGapMs,
    baselineLongestGapMs,
    secondsPerUpgrade,
    daemonRssMiB,
    ...exact
  } = figures;
  assert.deepEqual(exact, { upgrades: 2, failed: 0, resets: 0, deadlineResets: 0 });
  assert.ok(Number(requests) > 300, `${String(requests)} requests were made`);
  // Too many would have been complained of.
  assert.ok(Number.isInteger(repeated));
  // At 50 new connections a second.
  assert.ok(Number(longestGapMs) >= 20 && Number(baselineLongestGapMs) >= 20);
  assert.ok(Number(secondsPerUpgrade) > 0);
  assert.equal((daemonRssMiB as number[]).length, 2);
  for (const mebibytes of daemonRssMiB as number[]) assert.ok(mebibytes > 10 && mebibytes < 1000);
  const circles = (await readFile(plot, "utf8")).match(/<circle/g);
  assert.equal(circles?.length, 4, "a gap for each upgrade, and one for each time without");
  t.diagnostic(JSON.stringify(figures));
});
