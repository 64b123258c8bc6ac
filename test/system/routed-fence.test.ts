/** The fence in network namespaces: what a board that neither holds nor drains can send and hear. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemNames } from "../../src/system/names.ts";
import type { FlowEnd } from "../fixtures/routed/client.ts";
import { addresses, families, RoutedLab } from "../fixtures/routed/lab.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces need root";
const signal = AbortSignal.timeout(200_000);

/**
 * The packets that board b has received, of IPv6 on its service card alone. Neighbour discovery does not count: a host asks
 * a neighbour that it knows again, 5 s after it last spoke to it (`delay_first_probe_time`, arp(7)).
 */
async function receivedPackets(lab: RoutedLab, family: "ipv4" | "ipv6"): Promise<number> {
  if (family === "ipv4") {
    const text = await lab.inBoard("b", "cat", ["/proc/net/snmp"]);
    return Number(/Ip: (?:\d+ ){2}(\d+)/.exec(text)?.[1]);
  }
  const text = await lab.inBoard("b", "cat", ["/proc/net/dev_snmp6/eth0"]);
  const counter = (name: string): number => Number(new RegExp(`^${name}\\s+(\\d+)$`, "m").exec(text)?.[1]);
  return (
    counter("Ip6InReceives") - counter("Icmp6InNeighborSolicits") - counter("Icmp6InNeighborAdvertisements")
  );
}

for (const family of families) {
  test(`${family}: a fenced board reaches nobody, and nothing of the service reaches it`, {
    skip,
    signal,
  }, async () => {
    await using lab = await RoutedLab.make("fence", { families: [family] });
    const daemon = lab.daemon();
    await daemon.setUp(signal);
    await daemon.handOver("a", signal);
    const timeoutMs = 300;
    const from = async (
      board: "a" | "b",
      host: string,
      port: number,
      localAddress?: string,
    ): Promise<string> =>
      await lab.boards[board].server.call("reach", { host, port, timeoutMs, localAddress });
    const { service, outside, device, stranger, boardsPrefix } = addresses[family];
    const { a, b, host } = addresses[family].links;
    const nodad = family === "ipv4" ? [] : ["nodad"];
    await using listener = await lab.listenOutside(7000);
    assert.ok(listener);
    await using clients = lab.clientsOnDevice(family);

    assert.equal(await from("a", outside, 7000), "connected", "the holder may begin connections");
    assert.equal(await from("b", outside, 7000), "timeout", "out of the host");
    for (const [board, other] of [
      ["a", b],
      ["b", a],
    ] as const) {
      assert.match(await from(board, other, 8080), /timeout|EHOSTUNREACH/, `${board} to the other board`);
      assert.equal(await from(board, host, 22), "timeout", `${board} to the host`);
      assert.equal(await from(board, device, 22), "timeout", `${board} to the host's own address`);
      assert.equal(await from(board, service, 80), "timeout", `${board} to the service`);
    }
    // the host-only card: the host reaches the board, the board begins nothing
    const names = systemNames(lab.settings.system);
    for (const board of ["a", "b"] as const) {
      const card = names.card(board, "mgmt");
      const inward = { host: `${names.linkLocal(board, "mgmt")}%${card}`, port: 8080, timeoutMs: 2000 };
      assert.equal(await clients.call("reach", inward), "connected");
      const hostEnd = /inet6 (fe80[^/]+)/.exec(
        await lab.onDevice("ip", ["-6", "address", "show", card]),
      )?.[1];
      assert.equal(await from(board, `${hostEnd}%eth1`, 22), "timeout");
    }
    const received = (): Promise<number> => receivedPackets(lab, family);
    const receivedBefore = await received();
    assert.ok(receivedBefore >= 0, "the board's counters are there");
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
      ["a", service],
      ["b", a],
      ["b", stranger],
    ] as const) {
      const own = `${forged}/${family === "ipv4" ? 32 : 128}`;
      await lab.inBoard(board, "ip", ["address", "add", own, "dev", "eth0", ...nodad]);
      assert.equal(await from(board, outside, 7000, forged), "timeout", `${board} as ${forged}`);
      await lab.inBoard(board, "ip", ["address", "delete", own, "dev", "eth0"]);
    }
    assert.equal(await arrived(), before, "nothing forged left the host");
    // somebody outside who sends straight to the boards
    await lab.outside("ip", ["route", "add", boardsPrefix, "via", device]);
    for (const board of [a, b])
      assert.equal(await lab.clients.call("reach", { host: board, port: 8080, timeoutMs }), "timeout");
  });
}

for (const family of families) {
  test(`${family}: clients of a board that is fenced in the middle of their flows are reset when they speak`, {
    skip,
    signal,
  }, async () => {
    await using lab = await RoutedLab.make("late", { families: [family] });
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
}

for (const family of families) {
  test(`${family}: what a board began itself goes on while it drains, and not one packet of it leaves after the fence`, {
    skip,
    signal,
  }, async () => {
    await using lab = await RoutedLab.make("begun", { families: [family] });
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
    await lab.boards.a.server.call("send", { host: addresses[family].outside, port: 7001 });
    assert.ok((await moreWithin(50)) > 0);
    await daemon.handOver("b", signal);
    assert.ok((await moreWithin(50)) > 0, "draining");
    await daemon.drain("a", { sinceMs: Date.now() }, signal);
    await daemon.fence("a");
    assert.equal(await moreWithin(150), 0, "fenced");
  });
}
