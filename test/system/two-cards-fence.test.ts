/** The fence of two cards in network namespaces: what a board that does not hold can send and hear, and its double of the gateway. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { BoardName } from "../../src/board/board.ts";
import { run } from "../../src/system/process.ts";
import { Wire } from "../fixtures/bridged/wire.ts";
import { link, printed } from "../fixtures/namespaces.ts";
import { insideCard } from "../fixtures/stand-in.ts";
import { outsideAddresses, type SwitchLab, serviceAddresses, serviceMac } from "../fixtures/switch-lab.ts";
import { Noise, Witness } from "../fixtures/traffic/noise.ts";
import { kinds, macOf, orderFor, received } from "../fixtures/traffic/sighted.ts";
import { DatagramTraffic } from "../fixtures/traffic/traffic.ts";
import { twoCardsLab } from "../fixtures/two-cards/lab.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces need root";
const signal = AbortSignal.timeout(150_000);
const families = ["ipv4", "ipv6"] as const;
const uplinks = { a: "up0", b: "up1" } as const;

/** What the standby's kernel believes of a neighbour: ip-neighbour(8). */
async function believed(lab: SwitchLab, board: BoardName, address: string): Promise<string> {
  return await printed(lab.boards[board], "ip", ["neighbour", "show", address]);
}

test("of a noisy board that does not hold nothing is seen outside, on the host or on the other board, it hears nothing of the work, and the switch believes it nowhere", {
  skip,
  signal,
}, async () => {
  await using lab = await twoCardsLab("noise");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  const { outside, device } = lab.namespaces;
  const order = await orderFor(lab);
  await using worker = new Noise(outside, { ...order, what: "work", by: "o", card: link.card });
  for (const [holder, standby] of [
    ["a", "b"],
    ["b", "a"],
  ] as const) {
    if (holder === "b") {
      await daemon.handOver("b", signal);
      await daemon.drain("a", { sinceMs: Date.now() }, signal);
      await daemon.fence("a");
    }
    await using there = await Witness.on(outside, link.card);
    await using onSwitch = await Witness.on(lab.switch, uplinks[standby]);
    await using onHost = await Witness.on(device, lab.names.card(standby, "bridge"));
    await using onHolder = await Witness.on(lab.boards[holder], insideCard);
    await using onStandby = await Witness.on(lab.boards[standby], insideCard);
    await using noise = new Noise(lab.boards[standby], {
      ...order,
      what: "noise",
      by: standby,
      card: insideCard,
    });
    await noise.untilRounds(10);
    await worker.untilRounds(10);
    for (const witness of [there, onSwitch, onHost, onHolder])
      assert.deepEqual(kinds(await witness.seen(), standby), []);
    assert.deepEqual(kinds(await onStandby.seen(), "o"), []);
    assert.deepEqual(kinds(await onHolder.seen(), "o"), Object.keys(await worker.sent()).toSorted());
    assert.equal(await lab.portOf(serviceMac), uplinks[holder]);
  }
});

test("what a board says while it holds, everybody outside hears, and the other board does not", {
  skip,
  signal,
}, async () => {
  await using lab = await twoCardsLab("holder");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  await using there = await Witness.on(lab.namespaces.outside, link.card);
  await using onB = await Witness.on(lab.boards.b, insideCard);
  const order = await orderFor(lab);
  await using noise = new Noise(lab.boards.a, { ...order, what: "noise", by: "a", card: insideCard });
  await noise.untilRounds(5);
  // The switch passes it on to nobody (IEEE 802.1Q, table 8-1).
  const said = Object.keys(await noise.sent()).filter((kind) => kind !== "lldp");
  assert.deepEqual(kinds(await there.seen(), "a"), said.toSorted());
  assert.deepEqual(kinds(await onB.seen(), "a"), []);
});

test("the card is the board's as if it had it itself: LLDP passes to the switch's port", {
  skip,
  signal,
}, async () => {
  await using lab = await twoCardsLab("lldp");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("b", signal);
  await using onSwitch = await Witness.on(lab.switch, "up1");
  const order = await orderFor(lab);
  await using noise = new Noise(lab.boards.b, { ...order, what: "noise", by: "b", card: insideCard });
  await noise.untilRounds(3);
  assert.ok(kinds(await onSwitch.seen(), "b").includes("lldp"));
});

test("a standby finds its gateways in their double, with their own MAC addresses; a board that holds finds the gateways themselves", {
  skip,
  signal,
}, async () => {
  await using lab = await twoCardsLab("double");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  const gateway = await macOf(lab.namespaces.outside, link.card);
  await using onSwitch = await Wire.on(lab.switch, "up1");
  await using ofHolder = await Wire.on(lab.switch, "up0");
  for (const family of families) {
    const address = outsideAddresses[family];
    await printed(lab.boards.b, "ping", ["-c", "3", "-i", "0.2", "-W", "5", address]);
    assert.match(await believed(lab, "b", address), new RegExp(`lladdr ${gateway}`));
    await printed(lab.boards.a, "ping", ["-c", "1", "-W", "5", address]);
    const pings = { ipv4: 0x0800, ipv6: 0x86dd } as const;
    await ofHolder.until(
      ({ from, to, etherType }) => from === serviceMac && to === gateway && etherType === pings[family],
    );
  }
  const seen = (await onSwitch.heard()).filter(({ from, to }) => from === serviceMac || to === gateway);
  assert.deepEqual(seen, [], "the gateways themselves heard nothing of it");
});

test("a standby that asked its double gets nothing of it once it is silent: nothing waits for a board that wakes", {
  skip,
  signal,
}, async () => {
  await using lab = await twoCardsLab("silent");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  await printed(lab.boards.b, "ping", ["-c", "1", "-W", "5", outsideAddresses.ipv4]);
  const asked = async (): Promise<string> =>
    await printed(lab.namespaces.device, "nft", ["list", "set", "bridge", lab.names.table, "asked"]);
  const name = new RegExp(lab.names.card("b", "service"));
  for (const deadline = performance.now() + 10_000; name.test(await asked()); )
    assert.ok(performance.now() < deadline, "its questions are forgotten");
  const before = await received(lab, "b");
  // The double's kernel asks whether the board is still there, in vain.
  const inside = `twinboard-${lab.names.card("b", "double")}`;
  await run(
    "ip",
    ["netns", "exec", inside, "ping", "-c", "2", "-i", "0.2", "-W", "1", serviceAddresses.ipv4],
    {
      allowedExitCodes: [1],
    },
  );
  assert.equal(await received(lab, "b"), before);
});

for (const family of families) {
  test(`${family}: a board that never held, and spoke in vain all the time, loses next to nothing at its first takeover`, {
    skip,
    signal,
  }, async (t) => {
    await using lab = await twoCardsLab("fresh", { lingerMs: 100 });
    const daemon = lab.daemon();
    await daemon.setUp(signal);
    await daemon.handOver("a", signal);
    await using traffic = await DatagramTraffic.make(lab.namespaces.outside, lab.boards, {
      host: serviceAddresses[family],
      port: 7000,
      everyUs: 1000,
      capacity: 100_000,
      urgent: true,
    });
    await traffic.start();
    for (let count = 0; count < 5; count += 1) await traffic.knock("b", outsideAddresses[family]);
    const takeovers = await daemon.takeovers({ count: 1, everyMs: 1000 }, signal);
    const { lost, doubled, heardBy } = await traffic.stop({
      holder: "a",
      takeovers,
      windowHalfMs: 20,
      underwayMs: 1000,
    });
    t.diagnostic(`${lost} lost`);
    assert.ok(lost <= 5, `${lost} lost`);
    assert.equal(doubled, 0);
    assert.ok(heardBy.b > 0);
  });
}

test("gateways of two MAC addresses have a double each", { skip, signal }, async () => {
  await using lab = await twoCardsLab("two-gws");
  const { outside, device } = lab.namespaces;
  // The IPv6 gateway is another machine, here another card on top of the same.
  const mac = "02:00:00:00:00:66";
  await run(...outside.enter("sh", ["-c", "echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore"]));
  const at = ["-netns", outside.name];
  await run("ip", [...at, "link", "add", "six", "link", link.card, "type", "macvlan", "mode", "bridge"]);
  await run("ip", [...at, "address", "delete", `${outsideAddresses.ipv6}/64`, "dev", link.card]);
  await run("ip", [...at, "link", "set", "six", "address", mac, "up"]);
  await run("ip", [...at, "address", "add", `${outsideAddresses.ipv6}/64`, "dev", "six", "nodad"]);
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  const expected = { ipv4: await macOf(outside, link.card), ipv6: mac };
  for (const family of families) {
    const address = outsideAddresses[family];
    await printed(lab.boards.b, "ping", ["-c", "1", "-W", "5", address]);
    assert.match(await believed(lab, "b", address), new RegExp(`lladdr ${expected[family]}`));
  }
  assert.deepEqual(await daemon.troubles(), []);
  await daemon.tearDown(signal);
  assert.equal(await printed(device, "ip", ["-oneline", "link", "show", "type", "bridge"]), "");
  const left = await run("ip", ["netns", "list"]);
  assert.doesNotMatch(left.stdout.toString(), /twinboard-tb/);
});
