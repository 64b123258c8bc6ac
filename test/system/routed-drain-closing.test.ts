/** The closing of flows between two requests in network namespaces: kept-alive clients lose nothing, and both ends learn. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { FlowEnd } from "../fixtures/routed/client.ts";
import type { KeptAliveResult } from "../fixtures/routed/kept-alive.ts";
import { families, RoutedLab } from "../fixtures/routed/lab.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces need root";
const signal = AbortSignal.timeout(300_000);

for (const family of families) {
  test(`${family}: kept-alive clients are moved between two requests, and not one request fails`, {
    skip,
    signal,
  }, async (t) => {
    await using lab = await RoutedLab.make("kept", { families: [family] });
    const daemon = lab.daemon();
    await daemon.setUp(signal);
    await daemon.handOver("a", signal);
    await lab.clients.call("startKeptAlive", { clients: 300, burst: 6, shortPauseMs: 250, pauseMs: 12_000 });
    for (let count = 0; count < 20; count += 1) {
      await lab.clients.call("begin", { kind: "download", chunks: 300, everyMs: 10 });
      await lab.clients.call("begin", { kind: "silent" });
    }
    const sinceMs = Date.now();
    await daemon.handOver("b", signal);
    const result = await daemon.drain("a", { sinceMs }, signal);
    const { failures, servedBy, asked, connections } =
      await lab.clients.call<KeptAliveResult>("stopKeptAlive");
    const ends = await lab.clients.call<FlowEnd[]>("ends");
    t.diagnostic(JSON.stringify({ result, asked, servedBy, connections, failed: failures.length }));
    assert.deepEqual(failures, []);
    assert.equal(result.cut, 0);
    assert.equal(result.left, 0);
    assert.equal(result.closedEarly + result.finished, 340);
    assert.equal(result.services[`silent-${family}`]?.closedEarly, 20);
    const downloads = ends.filter(({ kind }) => kind === "download").map(({ how }) => how);
    assert.deepEqual([...new Set(downloads)], ["finished"]);
    assert.equal(await lab.boards.a.server.call("connections"), 0, "the old board was freed too");
    assert.equal(await lab.inBoard("a", "ss", ["-Htn", "state", "established"]), "");
  });
}
