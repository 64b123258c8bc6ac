/** The routed service in network namespaces, under real connections: takeovers, set-up, tear-down. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { takeover } from "../../src/service/network/register.ts";
import * as routed from "../../src/service/routed/elements.ts";
import { marksIn } from "../../src/service/routed/marks.ts";
import { parseFlows } from "../../src/system/conntrack.ts";
import { systemNames } from "../../src/system/names.ts";
import type { FlowEnd, LoadResult } from "../fixtures/routed/client.ts";
import { addresses, families, RoutedLab } from "../fixtures/routed/lab.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces need root";
const signal = AbortSignal.timeout(200_000);

for (const family of families) {
  test(`${family}: 200 takeovers under a steady stream of new connections lose none`, {
    skip,
    signal,
  }, async (t) => {
    await using lab = await RoutedLab.make("take", { families: [family] });
    const daemon = lab.daemon();
    await daemon.setUp(signal);
    await daemon.handOver("a", signal);
    await lab.clients.call("startLoad", { perSecond: 200 });
    const done = await daemon.takeovers({ count: 200, everyMs: 20 }, signal);
    const load = await lab.clients.call<LoadResult>("stopLoad");
    const took = done.map(({ ms }) => ms).toSorted((x, y) => x - y);
    t.diagnostic(
      `handOver ms p50 ${took[100]?.toFixed(2)} p99 ${took[197]?.toFixed(2)} max ${took.at(-1)?.toFixed(2)}; ${JSON.stringify(load)}`,
    );
    assert.deepEqual(load.failures, []);
    assert.ok((load.servedBy["a"] ?? 0) > 100 && (load.servedBy["b"] ?? 0) > 100, "both boards served");
  });
}

test("a transaction of a daemon that was killed, arriving late, fails whole", { skip, signal }, async () => {
  await using lab = await RoutedLab.make("stale");
  const first = lab.daemon();
  await first.setUp(signal);
  await first.handOver("a", signal);
  const { system, ...plan } = lab.settings;
  const names = systemNames(system);
  const ofWiring = routed.takeover({ ...plan, names }, "b");
  const late = takeover(names, await first.inspect(), "b", ofWiring);
  await first.peer.kill();
  const second = lab.daemon();
  await second.raiseEpoch();
  const before = await lab.onDevice("nft", ["list", "ruleset"]);
  await assert.rejects(second.peer.call("change", late), { code: "command-failed" });
  assert.equal(await lab.onDevice("nft", ["list", "ruleset"]), before);
  assert.equal(await lab.clients.call("ask"), "a");
});

for (const family of families) {
  test(`${family}: setUp under load, by one daemon after another and with other rules, disturbs nobody`, {
    skip,
    signal,
  }, async () => {
    await using lab = await RoutedLab.make("again", { families: [family] });
    const daemon = lab.daemon();
    await daemon.setUp(signal);
    await daemon.handOver("a", signal);
    await lab.clients.call("begin", { kind: "download", chunks: 300, everyMs: 10 });
    await lab.clients.call("startLoad", { perSecond: 100 });
    for (let count = 0; count < 5; count += 1) {
      await daemon.setUp(signal);
      const [web, silent] = lab.settings.services;
      assert.ok(web !== undefined && silent !== undefined);
      const more = { ...silent, name: "more", port: 8000 + count };
      const next = lab.daemon({ services: [web, silent, more] });
      await next.setUp(signal);
      assert.equal((await next.inspect()).holder, "a");
      await next.peer.kill();
    }
    const load = await lab.clients.call<LoadResult>("stopLoad");
    assert.deepEqual(load.failures, []);
    const ends = await lab.clients.call<FlowEnd[]>("ends");
    assert.deepEqual(
      ends.map(({ how }) => how),
      ["finished"],
    );
  });
}

for (const family of families) {
  test(`${family}: tearDown leaves the host as it was found, also after a crash`, {
    skip,
    signal,
  }, async () => {
    await using lab = await RoutedLab.make("down", { families: [family] });
    await lab.onDevice("sh", ["-c", "echo 7001,9000-9010 >/proc/sys/net/ipv4/ip_local_reserved_ports"]);
    const before = await lab.hostState();
    assert.match(before.settings, /ip_local_reserved_ports:7001,9000-9010/);
    for (const crash of [false, true]) {
      const daemon = lab.daemon();
      await daemon.setUp(signal);
      await daemon.handOver("a", signal);
      await daemon.handOver("b", signal);
      const during = await lab.hostState();
      for (const what of ["rules", "addresses", "settings"] as const)
        assert.notEqual(during[what], before[what]);
      if (crash) await daemon.peer.kill();
      const last = crash ? lab.daemon() : daemon;
      await last.tearDown(signal);
      await last.tearDown(signal);
      assert.deepEqual(await lab.hostState(), before);
    }
  });
}

for (const family of families) {
  test(`${family}: what the host lacks or has taken is named`, { skip, signal }, async () => {
    await using lab = await RoutedLab.make("check", { families: [family] });
    await assert.rejects(lab.daemon({ uplink: "nocard0" }).setUp(signal), { code: "missing-card" });
    const before = await lab.hostState();
    await using listener = await lab.listenOnDevice(80);
    assert.ok(listener);
    await assert.rejects(lab.daemon().setUp(signal), { code: "address-in-use" });
    assert.deepEqual(await lab.hostState(), before, "rejected: nothing changed");
  });
}

for (const family of families) {
  test(`${family}: other addresses of the boards are refused while a board serves`, {
    skip,
    signal,
  }, async () => {
    await using lab = await RoutedLab.make("moved", { families: [family] });
    await lab.daemon().setUp(signal);
    await lab.daemon().handOver("a", signal);
    const links = { ...lab.settings.links, [family]: addresses[family].otherLinks };
    await assert.rejects(lab.daemon({ links }).setUp(signal), { code: "config-changed" });
    assert.equal(await lab.clients.call("ask"), "a", "and nothing was changed");
  });
}

test("a takeover whose nft hangs or dies fails whole, and the next one works", { skip, signal }, async () => {
  await using lab = await RoutedLab.make("hang");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  await daemon.prepare("b", signal);
  await lab.signalOnDevice("nft", "SIGSTOP");
  await assert.rejects(daemon.handOver("b", signal), { code: "takeover-failed" });
  assert.equal((await daemon.inspect()).holder, "a");
  assert.equal(await lab.clients.call("ask"), "a");
  await daemon.handOver("b", signal);
  await lab.signalOnDevice("nft", "SIGKILL");
  await daemon.handOver("a", signal);
  assert.equal(await lab.clients.call("ask"), "a");
});

for (const family of families) {
  test(`${family}: the kernel knows of each flow its board, its service, and whether a request is outstanding`, {
    skip,
    signal,
  }, async () => {
    await using lab = await RoutedLab.make("marks", { families: [family] });
    const daemon = lab.daemon();
    await daemon.setUp(signal);
    await daemon.handOver("b", signal);
    const { serviceMark, boardMark, requestBit, unheardBit } = marksIn(lab.settings.markMask);
    const marks = async (): Promise<number[]> =>
      parseFlows(await lab.onDevice("conntrack", ["-L", "-f", family, "-p", "tcp", "-o", "id"]))
        .filter(({ state }) => state === "ESTABLISHED")
        .map(({ mark }) => mark & ~unheardBit);
    const web = serviceMark(0) | boardMark.b;
    for (const [kind, expected] of [
      ["silent", serviceMark(1) | boardMark.b],
      ["idle", web],
      ["download", web],
      ["upload", web | requestBit],
    ] as const) {
      const before = new Set(await marks());
      await lab.clients.call("begin", { kind, chunks: 1e6, everyMs: 5 });
      await lab.untilFlow(`mark=${expected} `, family);
      // what only acknowledges changes nothing
      for (let look = 0; look < 10; look += 1) {
        const now = await marks();
        assert.ok(now.includes(expected) && now.every((mark) => mark === expected || before.has(mark)), kind);
      }
    }
  });
}
