/** `npm run bench -- NAME`, short, with real machines: what is measured there, and what it writes. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type TestContext, test } from "node:test";

const bench = resolve(import.meta.dirname, "../../bench/main.ts");
const limitMs = 240_000;
const reason = process.getuid?.() === 0 ? false : "needs root: network namespaces, cards, boards";

interface Told {
  readonly exitCode: number | null;
  /** The file of `--json`. */
  readonly figures: Readonly<Record<string, unknown>>;
}

/** What it says is shown by whoever runs this test, also when it does not come to its end. */
async function run(t: TestContext, name: string, ...options: readonly string[]): Promise<Told> {
  const directory = await mkdtemp(join(tmpdir(), "bench-test-"));
  t.after(async () => await rm(directory, { recursive: true }));
  const file = join(directory, "figures.json");
  const args = [bench, name, "--boards", "qemu", ...options, "--json", file];
  const limit = AbortSignal.any([t.signal, AbortSignal.timeout(limitMs)]);
  const child = spawn(process.execPath, args, { stdio: ["ignore", "inherit", "inherit"] });
  // By SIGTERM it takes its lab down.
  limit.addEventListener("abort", () => child.kill("SIGTERM"), { once: true });
  const [exitCode] = (await once(child, "exit")) as [number | null];
  const figures = JSON.parse(await readFile(file, "utf8")) as Told["figures"];
  t.diagnostic(JSON.stringify(figures));
  return { exitCode, figures };
}

test("upgrades in a row lose nothing, and the figures are those that the documents name", {
  skip: reason,
}, async (t) => {
  const { exitCode, figures } = await run(t, "upgrades-in-a-row", "--count", "2");
  assert.equal(exitCode, 0);
  const { requests, longestGapMs, baselineLongestGapMs, daemonRssMiB, ...exact } = figures;
  assert.deepEqual(exact, { upgrades: 2, failed: 0, resets: 0, deadlineResets: 0 });
  assert.ok(Number(requests) > 1000, `${String(requests)} requests were made`);
  // At 50 new connections a second.
  assert.ok(Number(longestGapMs) >= 20 && Number(baselineLongestGapMs) >= 20);
  assert.equal((daemonRssMiB as number[]).length, 2);
  for (const mebibytes of daemonRssMiB as number[]) assert.ok(mebibytes > 10 && mebibytes < 1000);
});

test("machines on a bridge answer numbered datagrams and frames, and a takeover loses none", {
  skip: reason,
}, async (t) => {
  const { exitCode, figures } = await run(t, "bridged-takeover", "--takeovers", "1");
  // Its gaps and commits may be longer than promised; that decides nothing here.
  assert.ok(exitCode === 0 || exitCode === 1, `exit code ${exitCode}`);
  const { sent, answeredBy, frames } = figures;
  const { name, takeovers, failed, lost, doubled, heardByWrong, lostThere } = figures;
  assert.deepEqual(
    { name, takeovers, failed, lost, doubled, heardByWrong, lostThere },
    {
      name: "bridged-takeover",
      takeovers: 1,
      failed: 0,
      lost: 0,
      doubled: 0,
      heardByWrong: 0,
      lostThere: null,
    },
  );
  for (const told of [{ sent, answeredBy }, frames] as const) {
    const { sent: all, answeredBy: by } = told as { sent: number; answeredBy: { a: number; b: number } };
    assert.ok(by.a > 0 && by.b > 0, "both boards have answered");
    assert.equal(by.a + by.b, all);
  }
  const { lost: lostFrames, doubled: doubledFrames } = frames as { lost: number; doubled: number };
  assert.deepEqual([lostFrames, doubledFrames], [0, 0]);
});
