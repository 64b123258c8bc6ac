/** `npm run demo` as a newcomer starts it: real boards, real rules, real load, from images to verdict. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type TestContext, test } from "node:test";
import type { BoardKind } from "../../demo/images/rootfs.ts";
import type { DemoReport } from "../../demo/report.ts";
import { run } from "../../src/system/process.ts";
import { whyNoContainers } from "../fixtures/container/subject.ts";

const demo = resolve(import.meta.dirname, "../../demo/main.ts");
const limitMs = 580_000;
const reason = process.getuid?.() === 0 ? false : "needs root: network namespaces, cards, boards";

for (const [kind, skip] of [
  ["qemu", reason],
  ["container", reason || (await whyNoContainers())],
] as const)
  test(
    `nobody notices upgrades that succeed and fail, nor a rollback; a board that is killed is replaced (${kind})`,
    { skip },
    async (t) => await showsWhatItPromises(t, kind),
  );

async function showsWhatItPromises(t: TestContext, kind: BoardKind): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "demo-test-"));
  t.after(async () => await rm(directory, { recursive: true }));
  const [json, html] = [join(directory, "report.json"), join(directory, "report.html")];
  const args = [demo, "--boards", kind, "--json", json, "--html", html];
  const { stdout, exitCode } = await run(process.execPath, args, {
    timeoutMs: limitMs,
    allowedExitCodes: [1],
    signal: t.signal,
  });
  const told = stdout.toString();
  assert.equal(exitCode, 0, told);
  assert.match(told, /Nobody noticed/);
  const report = JSON.parse(await readFile(json, "utf8")) as DemoReport;
  const { upgrades, rollback, failover, standby, refused, dormant, load, keptAlive, traditional } = report;
  const unharmed = [...upgrades, rollback, refused];
  assert.deepEqual(
    [...unharmed, failover].map(({ from, to, outcome }) => [from, to, outcome]),
    [
      ["1.0.0", "2.0.0", "committed"],
      ["2.0.0", "3.0.0", "rolled-back"],
      ["2.0.0", "1.0.0", "committed"],
      ["2.0.0", "4.0.0", "failed"],
      ["1.0.0", "2.0.0", "committed"],
    ],
  );
  for (const { requests, failed, resets, deadlineResets } of unharmed) {
    assert.ok(requests > 100, `${requests} requests were made`);
    assert.deepEqual({ failed, resets, deadlineResets }, { failed: 0, resets: 0, deadlineResets: 0 });
  }
  assert.deepEqual(Object.keys(refused.answeredBy), ["2.0.0"]);
  assert.equal(refused.error, "board-not-ready");
  assert.ok(failover.takeoverMs !== null && failover.firstAnswerMs !== null);
  assert.equal(dormant.cpuNs, 0);
  assert.ok(dormant.seconds >= 10 && dormant.residentBytes > 0);
  assert.equal(standby.outcome, "committed");
  assert.deepEqual([load.failed, load.resets], [0, 0]);
  assert.ok(load.ipv4 > 1000 && load.ipv6 > 1000, JSON.stringify(load));
  assert.ok(keptAlive.requests > 100 && keptAlive.closedEarly > 0, JSON.stringify(keptAlive));
  // The board boots, and nobody else serves: no timing, but the order of things.
  assert.ok(traditional.failed > 0 && traditional.downMs > traditional.writeMs, JSON.stringify(traditional));
  assert.match(await readFile(html, "utf8"), /With one board/);
}
