/** The drain and its cut in network namespaces, with real flows of every kind. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { FlowEnd } from "../fixtures/routed/client.ts";
import { addresses, families, RoutedLab } from "../fixtures/routed/lab.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces need root";
const signal = AbortSignal.timeout(200_000);

for (const family of families) {
  test(`${family}: at the deadline every kind of flow is reset on both ends, and none hangs`, {
    skip,
    signal,
  }, async (t) => {
    await using lab = await RoutedLab.make("cut", { families: [family], drainMs: 1500, quietMs: 60_000 });
    const daemon = lab.daemon();
    await daemon.setUp(signal);
    await daemon.handOver("a", signal);
    const each = 15;
    for (const kind of ["idle", "silent", "download", "upload"]) {
      for (let count = 0; count < each; count += 1) {
        await lab.clients.call("begin", { kind, chunks: 1_000_000, everyMs: 10 });
      }
    }
    await lab.untilConnections("a", 4 * each);
    const sinceMs = Date.now();
    await daemon.handOver("b", signal);
    const left: number[] = [];
    const result = await daemon.drain(
      "a",
      { sinceMs, onProgress: (progress) => void left.push(progress.left) },
      signal,
    );
    const ends = await lab.clients.call<FlowEnd[]>("ends");
    const afterMs = ends.map(({ atMs }) => atMs - sinceMs - 1500);
    t.diagnostic(
      `${JSON.stringify(result)}; clients learned ${Math.min(...afterMs)} to ${Math.max(...afterMs)} ms after the deadline`,
    );
    assert.equal(result.cut, 4 * each);
    assert.equal(left.at(-1), 0);
    assert.deepEqual([...new Set(ends.map(({ how }) => how))], ["ECONNRESET"]);
    await lab.untilConnections("a", 0);
    assert.ok(Math.min(...afterMs) >= 0, "none was cut before its deadline");
  });
}

for (const family of families) {
  test(`${family}: a slow download survives the takeover and ends on the old board`, {
    skip,
    signal,
  }, async () => {
    await using lab = await RoutedLab.make("slow", { families: [family] });
    const daemon = lab.daemon();
    await daemon.setUp(signal);
    await daemon.handOver("a", signal);
    for (let count = 0; count < 5; count += 1) {
      await lab.clients.call("begin", { kind: "download", chunks: 100, everyMs: 10 });
    }
    await daemon.handOver("b", signal);
    assert.equal(await lab.clients.call("ask"), "b");
    const result = await daemon.drain("a", { sinceMs: Date.now() }, signal);
    const ends = await lab.clients.call<FlowEnd[]>("ends");
    assert.deepEqual({ finished: result.finished, cut: result.cut }, { finished: 5, cut: 0 });
    for (const { how, bytes } of ends) {
      assert.equal(how, "finished");
      assert.equal(bytes, 100 * 1024 + "served by a".length);
    }
  });
}

for (const family of families) {
  test(`${family}: a draining board ends what it began and begins nothing`, { skip, signal }, async () => {
    await using lab = await RoutedLab.make("drain", { families: [family] });
    const daemon = lab.daemon();
    await daemon.setUp(signal);
    await daemon.handOver("a", signal);
    await using listener = await lab.listenOutside(7000);
    assert.ok(listener);
    await lab.clients.call("begin", { kind: "download", chunks: 60, everyMs: 10 });
    await daemon.handOver("b", signal);
    const reach = { host: addresses[family].outside, port: 7000, timeoutMs: 500 };
    assert.equal(await lab.boards.a.server.call("reach", reach), "ECONNREFUSED");
    assert.equal(await lab.boards.b.server.call("reach", reach), "connected");
    const ends = await lab.clients.call<FlowEnd[]>("ends");
    assert.deepEqual(
      ends.map(({ how }) => how),
      ["finished"],
    );
  });
}

for (const family of families) {
  test(`${family}: every client of a dead board learns at once, and those in a handshake reach the new one`, {
    skip,
    signal,
  }, async (t) => {
    await using lab = await RoutedLab.make("dead", { families: [family] });
    const daemon = lab.daemon();
    await daemon.setUp(signal);
    await daemon.handOver("a", signal);
    for (const kind of ["idle", "silent", "download", "upload"]) {
      for (let count = 0; count < 10; count += 1)
        await lab.clients.call("begin", { kind, chunks: 1e6, everyMs: 10 });
    }
    // dead in an instant, as a machine that panics: not even its kernel answers
    await lab.inBoard("a", "ip", ["link", "set", "eth0", "down"]);
    const asked = lab.clients.call("ask");
    await lab.untilFlow(" SYN_SENT ", family);
    await daemon.handOver("b", signal);
    const began = Date.now();
    const result = await daemon.drain("a", { sinceMs: began, atOnce: true }, signal);
    const ends = await lab.clients.call<FlowEnd[]>("ends");
    const learned = ends.map(({ atMs }) => atMs - began);
    t.diagnostic(`${JSON.stringify(result)}; clients learned within ${Math.max(...learned)} ms`);
    assert.deepEqual([...new Set(ends.map(({ how }) => how))], ["ECONNRESET"]);
    assert.equal(await asked, "b");
  });
}

for (const family of families) {
  test(`${family}: a drain whose daemon is killed goes on in the kernel, and the next daemon ends it`, {
    skip,
    signal,
  }, async () => {
    await using lab = await RoutedLab.make("killed", { families: [family], drainMs: 2000, quietMs: 60_000 });
    const first = lab.daemon();
    await first.setUp(signal);
    await first.handOver("a", signal);
    for (let count = 0; count < 10; count += 1) await lab.clients.call("begin", { kind: "silent" });
    const sinceMs = Date.now();
    await first.handOver("b", signal);
    const { promise, resolve } = Promise.withResolvers<void>();
    const drained = first.drain("a", { sinceMs, onProgress: () => resolve() }, signal);
    await Promise.race([promise, drained]);
    await Promise.all([first.peer.kill(), assert.rejects(drained, /ended/)]);
    await lab.untilConnections("a", 10);
    const second = lab.daemon();
    await second.raiseEpoch();
    const { cut } = await second.drain("a", { sinceMs }, signal);
    const ends = await lab.clients.call<FlowEnd[]>("ends");
    assert.equal(cut, 10);
    assert.ok(ends.every(({ how, atMs }) => how === "ECONNRESET" && atMs >= sinceMs + 2000));
  });
}

for (const family of families) {
  test(`${family}: the host's own clients reach the holder, and are reset at the deadline like others`, {
    skip,
    signal,
  }, async () => {
    await using lab = await RoutedLab.make("own", { families: [family] });
    const daemon = lab.daemon();
    await daemon.setUp(signal);
    await daemon.handOver("a", signal);
    await using clients = lab.clientsOnDevice(family);
    assert.equal(await clients.call("ask"), "a");
    await clients.call("begin", { kind: "silent" });
    await clients.call("begin", { kind: "download", chunks: 1e6, everyMs: 10 });
    await daemon.handOver("b", signal);
    assert.equal(await clients.call("ask"), "b");
    const { cut } = await daemon.drain("a", { sinceMs: Date.now(), atOnce: true }, signal);
    const ends = await clients.call<FlowEnd[]>("ends");
    assert.equal(cut, 2);
    assert.deepEqual(
      ends.map(({ how }) => how),
      ["ECONNRESET", "ECONNRESET"],
    );
    await lab.untilConnections("a", 0);
  });
}

for (const family of families) {
  test(`${family}: a client that begins anew from the same port at the instant of its reset reaches the new board`, {
    skip,
    signal,
  }, async () => {
    await using lab = await RoutedLab.make("reuse", { families: [family] });
    const daemon = lab.daemon();
    await daemon.setUp(signal);
    await daemon.handOver("a", signal);
    for (const localPort of [5001, 5002, 5003]) await lab.clients.call("begin", { kind: "again", localPort });
    await daemon.handOver("b", signal);
    await daemon.drain("a", { sinceMs: Date.now(), atOnce: true }, signal);
    const ends = await lab.clients.call<FlowEnd[]>("ends");
    assert.deepEqual(
      ends.map(({ how }) => how),
      ["ECONNRESET then b", "ECONNRESET then b", "ECONNRESET then b"],
    );
  });
}

for (const family of families) {
  test(`${family}: a client that does not answer delays the cut but does not stop it, and is reset when it speaks`, {
    skip,
    signal,
  }, async () => {
    await using lab = await RoutedLab.make("mute", { families: [family] });
    const daemon = lab.daemon();
    await daemon.setUp(signal);
    await daemon.handOver("a", signal);
    for (const _ of [1, 2]) await lab.clients.call("begin", { kind: "silent" });
    await daemon.handOver("b", signal);
    const chain = ["inet", "shut", "input"];
    await lab.outside("nft", ["add", "table", "inet", "shut"]);
    await lab.outside("nft", ["add", "chain", ...chain, "{ type filter hook input priority 0; }"]);
    await lab.outside("nft", ["add", "rule", ...chain, "tcp", "sport", "81", "drop"]);
    const { cut } = await daemon.drain("a", { sinceMs: Date.now(), atOnce: true }, signal);
    assert.equal(cut, 2);
    await daemon.fence("a");
    await lab.outside("nft", ["delete", "table", "inet", "shut"]);
    await lab.clients.call("speak");
    const ends = await lab.clients.call<FlowEnd[]>("ends");
    assert.deepEqual(
      ends.map(({ how }) => how),
      ["ECONNRESET", "ECONNRESET"],
    );
  });
}

for (const family of families) {
  test(`${family}: a drain during which the service is taken back cuts nothing`, {
    skip,
    signal,
  }, async () => {
    await using lab = await RoutedLab.make("back", { families: [family], drainMs: 1000 });
    const daemon = lab.daemon();
    await daemon.setUp(signal);
    await daemon.handOver("a", signal);
    await lab.clients.call("begin", { kind: "silent" });
    await daemon.handOver("b", signal);
    const { promise, resolve } = Promise.withResolvers<void>();
    const drained = daemon.drain("a", { sinceMs: Date.now(), onProgress: () => resolve() }, signal);
    await Promise.race([promise, drained]);
    await daemon.handOver("a", signal);
    await assert.rejects(drained, { code: "stale-epoch" });
    await lab.untilConnections("a", 1);
  });
}
