/** The closing of flows between two requests in network namespaces: kept-alive clients lose nothing, and both ends learn. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { makeSigningKey } from "../../demo/signing-key.ts";
import type { BoardName } from "../../src/board/board.ts";
import { Peer } from "../fixtures/peer.ts";
import type { FlowEnd, LoadResult } from "../fixtures/routed/client.ts";
import type { KeptAliveResult } from "../fixtures/routed/kept-alive.ts";
import { addresses, families, RoutedLab } from "../fixtures/routed/lab.ts";
import type { TlsBoardSettings } from "../fixtures/routed/tls-board.ts";

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
    await lab.clients.call("stopKeptAlive");
    const { failures, servedBy, asked, connections } =
      await lab.clients.call<KeptAliveResult>("askKeptAlive");
    const ends = await lab.clients.call<FlowEnd[]>("ends");
    t.diagnostic(JSON.stringify({ result, asked, servedBy, connections, failed: failures.length }));
    assert.deepEqual(failures, []);
    // A client whose pause ends before the slowest download is through has asked the new board by then.
    assert.ok((servedBy["b"] ?? 0) >= 300);
    assert.equal(connections, 600, "each client opened one connection to the new board");
    assert.equal(result.cut, 0);
    assert.equal(result.left, 0);
    assert.equal(result.closedEarly + result.finished, 340);
    assert.equal(result.services[`silent-${family}`]?.closedEarly, 20);
    const downloads = ends.filter(({ kind }) => kind === "download").map(({ how }) => how);
    assert.deepEqual([...new Set(downloads)], ["finished"]);
    await lab.untilConnections("a", 0);
    assert.equal(await lab.inBoard("a", "ss", ["-Htn", "state", "established"]), "");
  });
}

for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
  test(`kept-alive clients over ${version} are moved between two requests, and not one request fails`, {
    skip,
    signal,
  }, async (t) => {
    await using lab = await RoutedLab.make("tls");
    const { key, cert } = await makeSigningKey(lab.settings.stateDirectory);
    const tls = { address: addresses.ipv4.service, protocol: "tcp", port: 443, insidePort: 8443 } as const;
    const daemon = lab.daemon({ services: [{ ...tls, name: "tls", drainMs: 30_000, quietMs: 1000 }] });
    const file = join(import.meta.dirname, "../fixtures/routed/tls-board.ts");
    const serve = (board: BoardName): Peer => {
      const settings: TlsBoardSettings = { board, port: tls.insidePort, key, cert, version };
      return new Peer(lab.boards[board].namespace, file, settings);
    };
    await using old = serve("a");
    await using successor = serve("b");
    await Promise.all([old, successor].map(async (server) => await server.call("connections")));
    await daemon.setUp(signal);
    await daemon.handOver("a", signal);
    const order = { clients: 50, burst: 6, shortPauseMs: 250, pauseMs: 12_000 };
    await lab.clients.call("startKeptAlive", { ...order, port: tls.port, tls: true });
    const sinceMs = Date.now();
    await daemon.handOver("b", signal);
    const result = await daemon.drain("a", { sinceMs }, signal);
    await lab.clients.call("stopKeptAlive");
    const { failures, servedBy, connections } = await lab.clients.call<KeptAliveResult>("askKeptAlive");
    t.diagnostic(JSON.stringify({ result, servedBy, connections, failed: failures.length }));
    assert.deepEqual(failures, []);
    assert.equal(result.closedEarly, 50);
    assert.equal(connections, 100, "each client opened one connection to the new board");
    assert.equal(await old.call("connections"), 0, "the old board was freed too");
  });
}

test("3,000 idle connections are closed on both ends, and no new one feels it", {
  skip,
  signal,
}, async (t) => {
  const count = 3000;
  await using lab = await RoutedLab.make("crowd");
  const crowd = { address: addresses.ipv4.service, protocol: "tcp", port: 82, name: "crowd" } as const;
  const daemon = lab.daemon({
    services: [...lab.settings.services, { ...crowd, drainMs: 60_000, quietMs: 1000 }],
  });
  const file = join(import.meta.dirname, "../fixtures/routed/crowd.ts");
  await using server = new Peer(lab.boards.a.namespace, file, {});
  await using clients = new Peer(lab.namespaces.outside, file, {});
  await server.call("listen", { port: crowd.port });
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  const from = { host: crowd.address, port: crowd.port, localAddress: addresses.ipv4.outside };
  await clients.call("open", { ...from, count });
  await lab.clients.call("startLoad", { perSecond: 50 });
  const sinceMs = Date.now();
  await daemon.handOver("b", signal);
  const result = await daemon.drain("a", { sinceMs }, signal);
  const load = await lab.clients.call<LoadResult>("stopLoad");
  t.diagnostic(JSON.stringify({ result, load }));
  assert.equal(result.closedEarly, count);
  assert.deepEqual(result.remarks, []);
  assert.deepEqual(await clients.call("ends"), { ECONNRESET: count });
  assert.equal(await lab.inBoard("a", "ss", ["-Htn", "state", "established", "sport", "= :82"]), "");
  assert.deepEqual(load.failures, []);
});
