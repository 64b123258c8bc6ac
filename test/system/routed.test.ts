/** The routed service in network namespaces, under real connections. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { takeover } from "../../src/service/routed/elements.ts";
import { parseTcpFlows } from "../../src/system/conntrack.ts";
import { systemNames } from "../../src/system/names.ts";
import type { FlowEnd, LoadResult } from "../fixtures/routed/client.ts";
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

test("at the deadline every kind of flow is reset on both ends, and none hangs", {
  skip,
  signal,
}, async (t) => {
  await using lab = await RoutedLab.make("cut", { drainMs: 1500 });
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  const each = 15;
  for (const kind of ["idle", "silent", "download", "upload"]) {
    for (let count = 0; count < each; count += 1) {
      await lab.clients.call("begin", { kind, chunks: 1_000_000, everyMs: 10 });
    }
  }
  assert.equal(await lab.boards.a.server.call("connections"), 4 * each);
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
  assert.equal(await lab.boards.a.server.call("connections"), 0, "the old board was freed too");
  assert.ok(Math.min(...afterMs) >= 0, "none was cut before its deadline");
});

test("a slow download survives the takeover and ends on the old board", { skip, signal }, async () => {
  await using lab = await RoutedLab.make("slow");
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

test("a fenced board reaches nobody, and nothing of the service reaches it", { skip, signal }, async () => {
  await using lab = await RoutedLab.make("fence");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  const timeoutMs = 300;
  const from = async (board: "a" | "b", host: string, port: number, localAddress?: string): Promise<string> =>
    await lab.boards[board].server.call("reach", { host, port, timeoutMs, localAddress });
  const { a, b, host } = lab.settings.boards;
  await using listener = await lab.listenOutside(7000);
  assert.ok(listener);
  await using clients = lab.clientsOnDevice();

  assert.equal(await from("a", "198.51.100.1", 7000), "connected", "the holder may begin connections");
  assert.equal(await from("b", "198.51.100.1", 7000), "timeout", "out of the host");
  for (const [board, other] of [
    ["a", b],
    ["b", a],
  ] as const) {
    assert.match(await from(board, other, 8080), /timeout|EHOSTUNREACH/, `${board} to the other board`);
    assert.equal(await from(board, host, 22), "timeout", `${board} to the host`);
    assert.equal(await from(board, "198.51.100.2", 22), "timeout", `${board} to the host's own address`);
    assert.equal(await from(board, "198.51.100.10", 80), "timeout", `${board} to the service`);
  }
  // the host-only card: the host reaches the board, the board begins nothing
  const names = systemNames(lab.settings.system);
  for (const board of ["a", "b"] as const) {
    const card = names.card(board, "mgmt");
    const inward = { host: `${names.linkLocal(board, "mgmt")}%${card}`, port: 8080, timeoutMs: 2000 };
    assert.equal(await clients.call("reach", inward), "connected");
    const hostEnd = /inet6 (fe80[^/]+)/.exec(await lab.onDevice("ip", ["-6", "address", "show", card]))?.[1];
    assert.equal(await from(board, `${hostEnd}%eth1`, 22), "timeout");
  }
  const received = async (): Promise<number> =>
    Number(
      await lab
        .inBoard("b", "cat", ["/proc/net/snmp"])
        .then((text) => /Ip: (?:\d+ ){2}(\d+)/.exec(text)?.[1]),
    );
  const receivedBefore = await received();
  // the host itself, past the service
  const straight = { port: 8080, timeoutMs };
  assert.equal(await clients.call("reach", { ...straight, host: a }), "connected");
  assert.match(await clients.call("reach", { ...straight, host: b }), /timeout|EPERM/);
  for (let count = 0; count < 20; count += 1) assert.equal(await lab.clients.call("ask"), "a");
  assert.equal(await received(), receivedBefore, "not one packet reached the dormant board");
  // in the name of the service, of the other board, of a client
  const arrived = await lab.countOutside(7000);
  const before = await arrived();
  for (const [board, forged] of [
    ["a", b],
    ["a", "198.51.100.10"],
    ["b", a],
    ["b", "198.51.100.7"],
  ] as const) {
    await lab.inBoard(board, "ip", ["address", "add", `${forged}/32`, "dev", "eth0"]);
    assert.equal(await from(board, "198.51.100.1", 7000, forged), "timeout", `${board} as ${forged}`);
    await lab.inBoard(board, "ip", ["address", "delete", `${forged}/32`, "dev", "eth0"]);
  }
  assert.equal(await arrived(), before, "nothing forged left the host");
  // somebody outside who sends straight to the boards
  await lab.outside("ip", ["route", "add", "10.231.0.0/29", "via", "198.51.100.2"]);
  for (const board of [a, b])
    assert.equal(await lab.clients.call("reach", { host: board, port: 8080, timeoutMs }), "timeout");
});

test("a draining board ends what it began and begins nothing", { skip, signal }, async () => {
  await using lab = await RoutedLab.make("drain");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  await using listener = await lab.listenOutside(7000);
  assert.ok(listener);
  await lab.clients.call("begin", { kind: "download", chunks: 60, everyMs: 10 });
  await daemon.handOver("b", signal);
  const reach = { host: "198.51.100.1", port: 7000, timeoutMs: 500 };
  assert.equal(await lab.boards.a.server.call("reach", reach), "ECONNREFUSED");
  assert.equal(await lab.boards.b.server.call("reach", reach), "connected");
  const ends = await lab.clients.call<FlowEnd[]>("ends");
  assert.deepEqual(
    ends.map(({ how }) => how),
    ["finished"],
  );
});

test("clients of a board that is fenced in the middle of their flows are reset when they speak", {
  skip,
  signal,
}, async () => {
  await using lab = await RoutedLab.make("late");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  await lab.clients.call("begin", { kind: "upload", everyMs: 10 });
  await daemon.handOver("b", signal);
  await daemon.fence("a");
  const ends = await lab.clients.call<FlowEnd[]>("ends");
  assert.deepEqual(
    ends.map(({ how }) => how),
    ["ECONNRESET"],
  );
});

test("every client of a dead board learns at once, and those in a handshake reach the new one", {
  skip,
  signal,
}, async (t) => {
  await using lab = await RoutedLab.make("dead");
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
  await lab.untilFlow(" SYN_SENT ");
  await daemon.handOver("b", signal);
  const began = Date.now();
  const result = await daemon.drain("a", { sinceMs: began, atOnce: true }, signal);
  const ends = await lab.clients.call<FlowEnd[]>("ends");
  const learned = ends.map(({ atMs }) => atMs - began);
  t.diagnostic(`${JSON.stringify(result)}; clients learned within ${Math.max(...learned)} ms`);
  assert.deepEqual([...new Set(ends.map(({ how }) => how))], ["ECONNRESET"]);
  assert.equal(await asked, "b");
});

test("a transaction of a daemon that was killed, arriving late, fails whole", { skip, signal }, async () => {
  await using lab = await RoutedLab.make("stale");
  const first = lab.daemon();
  await first.setUp(signal);
  await first.handOver("a", signal);
  const { system, ...plan } = lab.settings;
  const late = takeover({ ...plan, names: systemNames(system) }, await first.inspect(), "b");
  await first.peer.kill();
  const second = lab.daemon();
  await second.raiseEpoch();
  const before = await lab.onDevice("nft", ["list", "ruleset"]);
  await assert.rejects(second.peer.call("change", late), { code: "command-failed" });
  assert.equal(await lab.onDevice("nft", ["list", "ruleset"]), before);
  assert.equal(await lab.clients.call("ask"), "a");
});

test("a drain whose daemon is killed goes on in the kernel, and the next daemon ends it", {
  skip,
  signal,
}, async () => {
  await using lab = await RoutedLab.make("killed", { drainMs: 2000 });
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
  assert.equal(await lab.boards.a.server.call("connections"), 10);
  const second = lab.daemon();
  await second.raiseEpoch();
  const { cut } = await second.drain("a", { sinceMs }, signal);
  const ends = await lab.clients.call<FlowEnd[]>("ends");
  assert.equal(cut, 10);
  assert.ok(ends.every(({ how, atMs }) => how === "ECONNRESET" && atMs >= sinceMs + 2000));
});

test("setUp under load, by one daemon after another and with other rules, disturbs nobody", {
  skip,
  signal,
}, async () => {
  await using lab = await RoutedLab.make("again");
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

test("tearDown leaves the host as it was found, also after a crash", { skip, signal }, async () => {
  await using lab = await RoutedLab.make("down");
  await lab.onDevice("sysctl", ["-qw", "net.ipv4.ip_local_reserved_ports=7001,9000-9010"]);
  const before = await lab.hostState();
  assert.match(before.settings, /ip_local_reserved_ports = 7001,9000-9010/);
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

test("what the host lacks or has taken is named", { skip, signal }, async () => {
  await using lab = await RoutedLab.make("check");
  await assert.rejects(lab.daemon({ uplink: "nocard0" }).setUp(signal), { code: "missing-card" });
  const before = await lab.hostState();
  await using listener = await lab.listenOnDevice(80);
  assert.ok(listener);
  await assert.rejects(lab.daemon().setUp(signal), { code: "address-in-use" });
  assert.deepEqual(await lab.hostState(), before, "rejected: nothing changed");
});

test("the host's own clients reach the holder, and are reset at the deadline like others", {
  skip,
  signal,
}, async () => {
  await using lab = await RoutedLab.make("own");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  await using clients = lab.clientsOnDevice();
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
  assert.equal(await lab.boards.a.server.call("connections"), 0);
});

test("a takeover whose nft hangs or dies fails whole, and the next one works", { skip, signal }, async () => {
  await using lab = await RoutedLab.make("hang");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  await lab.signalOnDevice("nft", "SIGSTOP");
  await assert.rejects(daemon.handOver("b", signal), { code: "takeover-failed" });
  assert.equal((await daemon.inspect()).holder, "a");
  assert.equal(await lab.clients.call("ask"), "a");
  await daemon.handOver("b", signal);
  await lab.signalOnDevice("nft", "SIGKILL");
  await daemon.handOver("a", signal);
  assert.equal(await lab.clients.call("ask"), "a");
});

test("what a board began itself goes on while it drains, and not one packet of it leaves after the fence", {
  skip,
  signal,
}, async () => {
  await using lab = await RoutedLab.make("begun");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  await using listener = await lab.listenOutside(7000);
  assert.ok(listener);
  const arrived = await lab.countOutside(7001);
  const moreWithin = async (asks: number): Promise<number> => {
    const before = await arrived();
    for (let count = 0; count < asks; count += 1) await lab.clients.call("ask");
    return (await arrived()) - before;
  };
  await lab.boards.a.server.call("send", { host: "198.51.100.1", port: 7001 });
  assert.ok((await moreWithin(50)) > 0);
  await daemon.handOver("b", signal);
  assert.ok((await moreWithin(50)) > 0, "draining");
  await daemon.drain("a", { sinceMs: Date.now() }, signal);
  await daemon.fence("a");
  assert.equal(await moreWithin(150), 0, "fenced");
});

test("a client that begins anew from the same port at the instant of its reset reaches the new board", {
  skip,
  signal,
}, async () => {
  await using lab = await RoutedLab.make("reuse");
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

test("a client that does not answer delays the cut but does not stop it, and is reset when it speaks", {
  skip,
  signal,
}, async () => {
  await using lab = await RoutedLab.make("mute");
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

test("the kernel knows of each flow its board, its service, and whether a request is outstanding", {
  skip,
  signal,
}, async () => {
  await using lab = await RoutedLab.make("marks");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("b", signal);
  const marks = async (): Promise<number[]> =>
    parseTcpFlows(await lab.onDevice("conntrack", ["-L", "-p", "tcp", "-o", "id"]))
      .filter(({ state }) => state === "ESTABLISHED")
      .map(({ mark }) => mark);
  const web = 0x1_0200;
  for (const [kind, expected] of [
    ["silent", 0x2_0200],
    ["idle", web],
    ["download", web],
    ["upload", web | 1],
  ] as const) {
    const before = new Set(await marks());
    await lab.clients.call("begin", { kind, chunks: 1e6, everyMs: 5 });
    await lab.untilFlow(`mark=${expected} `);
    // what only acknowledges changes nothing
    for (let look = 0; look < 10; look += 1) {
      const now = await marks();
      assert.ok(now.includes(expected) && now.every((mark) => mark === expected || before.has(mark)), kind);
    }
  }
});
