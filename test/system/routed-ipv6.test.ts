/** What IPv6 alone has: router advertisements, packets that are too big, neighbours, source addresses; and both families together. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { ipv6SwitchOf } from "../../src/service/routed/forwarding.ts";
import { systemNames } from "../../src/system/names.ts";
import { run } from "../../src/system/process.ts";
import type { Namespace } from "../fixtures/namespaces.ts";
import type { FlowEnd, LoadResult } from "../fixtures/routed/client.ts";
import { addresses, RoutedLab } from "../fixtures/routed/lab.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces need root";
const signal = AbortSignal.timeout(200_000);
const { ipv6 } = addresses;
/** Behind the router: reached by the default route alone. */
const beyond = "2001:db8:99::1";

/** Sends a router advertisement from outside, and waits until the device's default route is as it says. */
async function advertise(lab: RoutedLab, lifetimeSeconds: number): Promise<void> {
  const program = join(import.meta.dirname, "../fixtures/routed/advertise.py");
  await lab.outside("python3", [program, "up0", String(lifetimeSeconds)]);
  const deadline = performance.now() + 5000;
  while ((await learnedRoute(lab)) !== lifetimeSeconds > 0) {
    if (performance.now() > deadline)
      throw new Error(`an advertisement of ${lifetimeSeconds} s was not heard`);
  }
}

async function learnedRoute(lab: RoutedLab): Promise<boolean> {
  const routes = await lab.onDevice("ip", ["-6", "route", "show", "default", "proto", "ra"]);
  return routes.includes("dev up0");
}

for (const ipv6Switch of ["card", "host"] as const) {
  const lacks = skip === false && ipv6Switch === "card" && (await ipv6SwitchOf()) === "host";
  test(`a host that learns its routes from its router goes on doing so (forwarding by ${ipv6Switch})`, {
    skip: lacks
      ? "this kernel forwards IPv6 for the host as a whole only (force_forwarding is of Linux 6.17)"
      : skip,
    signal,
  }, async () => {
    await using lab = await RoutedLab.make("ra", { families: ["ipv6", "ipv4"] });
    // The router says in each of its neighbour advertisements too that it is one (RFC 4861, section 7.2.5).
    await lab.outside("sh", ["-c", "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding"]);
    await lab.outside("ip", ["address", "add", `${beyond}/128`, "dev", "lo", "nodad"]);
    // A card that is a router's already stays one.
    await lab.onDevice("sh", ["-c", "echo 1 >/proc/sys/net/ipv6/conf/lo/forwarding"]);
    const before = await lab.hostState();
    await advertise(lab, 1800);
    const daemon = lab.daemon({ ipv6Switch });
    await daemon.setUp(signal);
    assert.ok(await learnedRoute(lab), "the default route outlived the set-up");
    await daemon.handOver("a", signal);
    assert.equal(await lab.clients.call("ask"), "a");
    await using listener = await lab.listenOutside(7000);
    assert.ok(listener);
    const far = { host: beyond, port: 7000, timeoutMs: 3000 };
    assert.equal(await lab.boards.a.server.call("reach", far), "connected", "a board uses the learned route");
    await advertise(lab, 0);
    await advertise(lab, 1800);
    await daemon.peer.kill();
    const next = lab.daemon({ ipv6Switch });
    await next.setUp(signal);
    assert.ok(await learnedRoute(lab), "and the set-up by the next daemon");
    await next.tearDown(signal);
    assert.ok(await learnedRoute(lab), "and the tear-down");
    await advertise(lab, 0);
    assert.deepEqual(await lab.hostState(), before);
  });

  test(`a host that passed on no IPv6 passes on none but the boards' (forwarding by ${ipv6Switch})`, {
    skip: lacks
      ? "this kernel forwards IPv6 for the host as a whole only (force_forwarding is of Linux 6.17)"
      : skip,
    signal,
  }, async () => {
    await using lab = await RoutedLab.make("pass", { families: ["ipv6"] });
    const elsewhere = await anotherNetwork(lab);
    await using listener = await lab.listenIn(elsewhere, 7000);
    assert.ok(listener);
    const daemon = lab.daemon({ ipv6Switch });
    await daemon.setUp(signal);
    await daemon.handOver("a", signal);
    assert.equal(await lab.clients.call("ask"), "a");
    const there = { host: otherAddress, port: 7000 };
    assert.equal(await lab.clients.call("reach", { ...there, timeoutMs: 500 }), "timeout");
    const { table } = systemNames(lab.settings.system);
    await lab.onDevice("nft", ["flush", "chain", "inet", table, "forward"]);
    await lab.onDevice("sh", ["-c", "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding"]);
    assert.equal(
      await lab.clients.call("reach", { ...there, timeoutMs: 5000 }),
      "connected",
      "it was the rules that held it back",
    );
  });
}

const otherAddress = "2001:db8:77::1";

async function ip(where: Namespace, ...args: readonly string[]): Promise<void> {
  await run("ip", ["-netns", where.name, ...args]);
}

/** A network on another card of the device, which the outside could reach if the device were a router. */
async function anotherNetwork(lab: RoutedLab): Promise<Namespace> {
  const { device, outside } = lab.namespaces;
  const other = await lab.namespaces.add("other");
  await ip(device, "link", "add", "other0", "type", "veth", "peer", "name", "eth0", "netns", other.name);
  await ip(device, "address", "add", "2001:db8:77::2/64", "dev", "other0", "nodad");
  await ip(device, "link", "set", "other0", "up");
  await ip(other, "address", "add", `${otherAddress}/64`, "dev", "eth0", "nodad");
  await ip(other, "link", "set", "eth0", "up");
  await ip(other, "route", "add", "default", "via", "2001:db8:77::2");
  await ip(outside, "route", "add", "2001:db8:77::/64", "via", ipv6.device);
  return other;
}

test("packets that are too big for a part of the way are made smaller, whoever says so", {
  skip,
  signal,
}, async () => {
  await using lab = await RoutedLab.make("big", { families: ["ipv6"] });
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  const client = await behindRouter(lab);
  await using clients = lab.clientsIn(client, "ipv6");
  const toldBoard = async (): Promise<number> =>
    Number(/Icmp6InPktTooBigs\s+(\d+)/.exec(await lab.inBoard("a", "cat", ["/proc/net/snmp6"]))?.[1]);
  const download = async (): Promise<boolean> => {
    const before = await toldBoard();
    await clients.call("begin", { kind: "download", chunks: 10, everyMs: 1, bytes: 50_000 });
    const [end] = await clients.call<FlowEnd[]>("ends");
    assert.equal(end?.how, "finished");
    return (await toldBoard()) > before;
  };
  assert.ok(await download(), "the router outside said so");
  // Narrower than what the router outside has said.
  await lab.onDevice("ip", ["link", "set", "up0", "mtu", "1280"]);
  assert.ok(await download(), "the device itself said so");
});

/** A client with the router outside in between, whose wire to it takes less than either end knows. */
async function behindRouter(lab: RoutedLab): Promise<Namespace> {
  const { outside, device } = lab.namespaces;
  const client = await lab.namespaces.add("client");
  await ip(outside, "link", "add", "far0", "type", "veth", "peer", "name", "eth0", "netns", client.name);
  await ip(outside, "address", "add", "2001:db8:66::1/64", "dev", "far0", "nodad");
  await ip(outside, "link", "set", "far0", "mtu", "1400", "up");
  await ip(client, "address", "add", "2001:db8:66::2/64", "dev", "eth0", "nodad");
  await ip(client, "link", "set", "eth0", "up");
  await ip(client, "route", "add", "default", "via", "2001:db8:66::1");
  await lab.outside("sh", ["-c", "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding"]);
  await ip(device, "route", "add", "2001:db8:66::/64", "via", ipv6.outside);
  return client;
}

test("both families reach one port inside, and one takeover moves them together", {
  skip,
  signal,
}, async () => {
  await using lab = await RoutedLab.make("both", { families: ["ipv4", "ipv6"] });
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  await using six = lab.clientsOf("ipv6");
  for (const clients of [lab.clients, six]) {
    for (const kind of ["silent", "download"])
      await clients.call("begin", { kind, chunks: 1e6, everyMs: 10 });
    await clients.call("startLoad", { perSecond: 100 });
  }
  await daemon.takeovers({ count: 51, everyMs: 20 }, signal);
  assert.equal((await daemon.inspect()).holder, "b");
  const { cut, services } = await daemon.drain("a", { sinceMs: Date.now(), atOnce: true }, signal);
  assert.equal(cut, 4);
  assert.deepEqual(
    Object.entries(services).map(([name, counts]) => [name, counts.cut]),
    ["web-ipv4", "silent-ipv4", "web-ipv6", "silent-ipv6"].map((name) => [name, 1]),
  );
  for (const clients of [lab.clients, six]) {
    const { failures, servedBy } = await clients.call<LoadResult>("stopLoad");
    assert.deepEqual(failures, []);
    assert.ok((servedBy["a"] ?? 0) > 0 && (servedBy["b"] ?? 0) > 0, "both boards served");
    const ends = await clients.call<FlowEnd[]>("ends");
    assert.deepEqual([...new Set(ends.map(({ how }) => how))], ["ECONNRESET"]);
  }
});

test("a fenced board knows its neighbour, and says nothing that leaves its link", {
  skip,
  signal,
}, async () => {
  await using lab = await RoutedLab.make("nd", { families: ["ipv6"] });
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  const toOutside = { host: ipv6.outside, port: 7000, timeoutMs: 300 };
  assert.equal(await lab.boards.b.server.call("reach", toOutside), "timeout");
  assert.match(await lab.inBoard("b", "ip", ["-6", "neighbour", "show", ipv6.links.host]), /lladdr/);
  // What a router would hear: a solicitation, an advertisement of somebody else's address.
  const counted = await lab.countOnDevice(
    "input",
    `iifname "${systemNames(lab.settings.system).card("b", "service")}" icmpv6 type != nd-neighbor-solicit`,
  );
  const program = join(import.meta.dirname, "../fixtures/routed/advertise.py");
  await lab.inBoard("b", "python3", [program, "eth0", "1800"]);
  assert.equal(await counted(), 0);
  assert.equal(await learnedRoute(lab), false, "nor does the device believe a router there");
});

test("connections that the host begins do not come from a service's address", { skip, signal }, async () => {
  await using lab = await RoutedLab.make("from", { families: ["ipv6"] });
  await lab.daemon().setUp(signal);
  await lab.onDevice("ip", ["-6", "route", "add", "default", "via", ipv6.outside]);
  for (const to of [ipv6.outside, "2001:db8::11", beyond]) {
    const route = await lab.onDevice("ip", ["-6", "route", "get", to]);
    assert.match(route, new RegExp(` src ${ipv6.device} `), to);
  }
});

test("a host whose uplink has IPv6 switched off is refused, and nothing is changed", {
  skip,
  signal,
}, async () => {
  await using lab = await RoutedLab.make("off", { families: ["ipv4", "ipv6"] });
  await lab.onDevice("sh", ["-c", "echo 1 >/proc/sys/net/ipv6/conf/up0/disable_ipv6"]);
  const before = await lab.hostState();
  await assert.rejects(lab.daemon().setUp(signal), { code: "no-ipv6" });
  assert.deepEqual(await lab.hostState(), before);
  const { services, links } = lab.settings;
  const four = { services: services.slice(0, 2), links: { ipv4: links.ipv4 ?? addresses.ipv4.links } };
  await lab.daemon(four).setUp(signal);
});

test("a board that was booted without IPv6 is not given an IPv6 service", { skip, signal }, async () => {
  await using lab = await RoutedLab.make("more", { families: ["ipv4", "ipv6"] });
  const { services, links } = lab.settings;
  const four = { services: services.slice(0, 2), links: { ipv4: links.ipv4 ?? addresses.ipv4.links } };
  const daemon = lab.daemon(four);
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  await assert.rejects(lab.daemon().setUp(signal), { code: "config-changed" });
  assert.equal(await lab.clients.call("ask"), "a");
});
