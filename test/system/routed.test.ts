/** The routed service in network namespaces, under real connections. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { LoadResult } from "../fixtures/routed/client.ts";
import { RoutedLab } from "../fixtures/routed/lab.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces need root";
const signal = AbortSignal.timeout(200_000);

test("200 takeovers under a steady stream of new connections lose none", { skip, signal }, async (t) => {
  await using lab = await RoutedLab.make("take");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  await lab.clients.call("startLoad", { perSecond: 200 });
  const took = await daemon.peer.call<number[]>("takeovers", { count: 200, everyMs: 20 });
  const load = await lab.clients.call<LoadResult>("stopLoad");
  took.sort((x, y) => x - y);
  t.diagnostic(
    `handOver ms p50 ${took[100]?.toFixed(2)} p99 ${took[197]?.toFixed(2)} max ${took.at(-1)?.toFixed(2)}; ${JSON.stringify(load)}`,
  );
  assert.deepEqual(load.failures, []);
  assert.ok((load.servedBy["a"] ?? 0) > 100 && (load.servedBy["b"] ?? 0) > 100, "both boards served");
});
