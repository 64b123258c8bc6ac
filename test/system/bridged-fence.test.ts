/** The fence of the bridged service in network namespaces: what a board that does not hold can send and hear. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { BoardName } from "../../src/board/board.ts";
import { bridge, bridgedLab } from "../fixtures/bridged/lab.ts";
import { arp, etherTypes, everybody, type Frame, Wire } from "../fixtures/bridged/wire.ts";
import { link, printed } from "../fixtures/namespaces.ts";
import { insideCard } from "../fixtures/stand-in.ts";
import { outsideAddresses, serviceAddresses, serviceMac } from "../fixtures/switch-lab.ts";
import { Noise, Witness } from "../fixtures/traffic/noise.ts";
import { kinds, macOf, orderFor, received } from "../fixtures/traffic/sighted.ts";
import { DatagramTraffic } from "../fixtures/traffic/traffic.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces need root";
const signal = AbortSignal.timeout(150_000);
const port = 7000;
const families = ["ipv4", "ipv6"] as const;

/** What is heard until it was heard twice: by the boards' address, and by everybody's. */
async function two(wire: Wire, payload: string): Promise<string[]> {
  const payloads: string[] = [];
  await wire.until((frame) => {
    if (frame.etherType === etherTypes.experimental) payloads.push(frame.payload.slice(0, 2));
    return payloads.filter((one) => one === payload).length === 2;
  });
  return payloads;
}

test("of a noisy board that does not hold nothing is seen outside, on the host or on the other board, and it hears nothing of the work", {
  skip,
  signal,
}, async () => {
  await using lab = await bridgedLab("noise");
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
    await using onHost = await Witness.on(device, bridge);
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
    for (const witness of [there, onHost, onHolder])
      assert.deepEqual(kinds(await witness.seen(), standby), []);
    assert.deepEqual(kinds(await onStandby.seen(), "o"), []);
    assert.deepEqual(kinds(await onHolder.seen(), "o"), Object.keys(await worker.sent()).toSorted());
  }
});

test("what a board says while it holds, everybody hears but the other board", { skip, signal }, async () => {
  await using lab = await bridgedLab("holder");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  const order = await orderFor(lab);
  await using there = await Witness.on(lab.namespaces.outside, link.card);
  await using onB = await Witness.on(lab.boards.b, insideCard);
  await using noise = new Noise(lab.boards.a, { ...order, what: "noise", by: "a", card: insideCard });
  await noise.untilRounds(5);
  // No bridge passes on the first (IEEE 802.1Q, table 8-1), and one that snoops the second only to where a router asked for it.
  const said = Object.keys(await noise.sent()).filter((kind) => kind !== "lldp" && kind !== "igmp");
  assert.deepEqual(kinds(await there.seen(), "a"), said.toSorted());
  assert.deepEqual(kinds(await onB.seen(), "a"), []);
});

test("a standby hears answers to its own questions for its neighbours, and none to the holder's", {
  skip,
  signal,
}, async () => {
  await using lab = await bridgedLab("asks");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  const forget = async (board: BoardName): Promise<string> =>
    await printed(lab.boards[board], "ip", ["neighbour", "flush", "dev", insideCard]);
  for (const family of families) {
    const neighbour = outsideAddresses[family];
    const reach = ["-c", "1", "-W", "5", neighbour];
    const known = async (board: BoardName): Promise<string> =>
      await printed(lab.boards[board], "ip", ["neighbour", "show", neighbour]);
    const before = await received(lab, "b");
    for (let count = 0; count < 5; count += 1) {
      await forget("a");
      await printed(lab.boards.a, "ping", reach);
    }
    assert.equal(await received(lab, "b"), before, "nothing of what the holder asked reached the standby");
    assert.equal(await known("b"), "");
    const ping = printed(lab.boards.b, "ping", ["-c", "1", "-W", "1", neighbour]).catch(() => "");
    const deadline = performance.now() + 5000;
    while (!/ lladdr /.test(await known("b")))
      assert.ok(performance.now() < deadline, "the standby knows its neighbour");
    await ping;
  }
});

for (const family of families) {
  test(`${family}: a board that never held, and spoke in vain all the time, loses nothing at its first takeover`, {
    skip,
    signal,
  }, async () => {
    await using lab = await bridgedLab("fresh", { lingerMs: 250 });
    const daemon = lab.daemon();
    await daemon.setUp(signal);
    await daemon.handOver("a", signal);
    await using traffic = await DatagramTraffic.make(lab.namespaces.outside, lab.boards, {
      host: serviceAddresses[family],
      port,
      everyUs: 1000,
      capacity: 100_000,
      urgent: true,
    });
    await traffic.start();
    // Without an answer the entry of its neighbour would be one that failed, and be tried again only a second later.
    const spoken = await printed(lab.boards.b, "ping", [
      "-c",
      "8",
      "-i",
      "0.2",
      "-W",
      "1",
      outsideAddresses[family],
    ]).catch((error: Error) => error.message);
    assert.match(spoken, /exit code 1/, "what it says itself does not get out");
    const takeovers = await daemon.takeovers({ count: 1, everyMs: 1000 }, signal);
    const { lost, doubled, heardBy } = await traffic.stop({
      holder: "a",
      takeovers,
      windowHalfMs: 1,
      underwayMs: 50,
    });
    assert.deepEqual({ lost, doubled }, { lost: 0, doubled: 0 });
    assert.ok(heardBy.b > 0);
  });
}

test("what the old holder had heard it may still answer while it lingers, and no longer", {
  skip,
  signal,
}, async (t) => {
  await using lab = await bridgedLab("linger", { lingerMs: 1000 });
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  await using there = await Wire.on(lab.namespaces.outside, link.card);
  await using onA = await Wire.on(lab.boards.a, insideCard);
  await using onB = await Wire.on(lab.boards.b, insideCard);
  const to = await macOf(lab.namespaces.outside, link.card);
  const frame = (payload: string): Frame => ({
    from: serviceMac,
    to,
    etherType: etherTypes.experimental,
    payload,
    vlan: null,
  });
  const began = performance.now();
  await daemon.handOver("b", signal);
  await onA.say(frame("0a"));
  await onB.say(frame("0b"));
  if (performance.now() - began > 900) return t.skip("the machine was too slow to speak within the linger");
  const awaited = new Set(["0a", "0b"]);
  await there.until(({ payload }) => awaited.delete(payload.slice(0, 2)) && awaited.size === 0);
  await daemon.drain("a", { sinceMs: Date.now() }, signal);
  await onA.say(frame("1a"));
  await onB.say(frame("1b"));
  const heard: Frame[] = [];
  await there.until((one) => {
    heard.push(one);
    return one.payload.startsWith("1b");
  });
  assert.ok(!heard.some(({ payload }) => payload.startsWith("1a")));
});

test("whose a frame is, is said once, as it comes in, and a takeover between its copies changes nothing of it", {
  skip,
  signal,
}, async () => {
  await using lab = await bridgedLab("turn");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  await using there = await Wire.on(lab.namespaces.outside, link.card);
  await using onA = await Wire.on(lab.boards.a, insideCard);
  await using onB = await Wire.on(lab.boards.b, insideCard);
  const from = await macOf(lab.namespaces.outside, link.card);
  const say = async (payload: string): Promise<void> => {
    for (const to of [serviceMac, "ff:ff:ff:ff:ff:ff"])
      await there.say({ from, to, etherType: etherTypes.experimental, payload, vlan: null });
  };
  const turn = async (board: "a" | "b"): Promise<void> => {
    const map = `bridge ${lab.names.table} turn`;
    const words = `flush map ${map}; add element ${map} { 0 : goto turn_${board} }`;
    await printed(lab.namespaces.device, "nft", [words]);
  };
  // As if the transaction came between the frame's turn and its copies: then the sets of the ports say another board than its mark.
  await turn("b");
  await say("0b");
  assert.deepEqual(await two(onB, "0b"), ["0b", "0b"]);
  await turn("a");
  await say("0a");
  assert.deepEqual(await two(onA, "0a"), ["0a", "0a"], "the board whose turn it was not heard neither");
  await daemon.handOver("b", signal);
  await say("1b");
  assert.deepEqual(await two(onB, "1b"), ["1b", "1b"]);
});

test("the host's own clients reach the holder alone, and what they send to it does not leave the host", {
  skip,
  signal,
}, async () => {
  await using lab = await bridgedLab("clients", { lingerMs: 250 });
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  const { device } = lab.namespaces;
  // A switch passes nothing back to where it came from: what leaves is seen at its port.
  await using leaving = await Wire.on(lab.switch, "up0");
  await using traffic = await DatagramTraffic.make(device, lab.boards, {
    host: serviceAddresses.ipv4,
    port,
    everyUs: 1000,
    capacity: 100_000,
    urgent: true,
  });
  await traffic.start();
  const takeovers = await daemon.takeovers({ count: 6, everyMs: 400, afterwards: "fence" }, signal);
  const verdict = await traffic.stop({ holder: "a", takeovers, windowHalfMs: 1, underwayMs: 50 });
  const { lost, doubled, heardByBoth, heardByWrong } = verdict;
  assert.deepEqual(
    { lost, doubled, heardByBoth, heardByWrong },
    { lost: 0, doubled: 0, heardByBoth: 0, heardByWrong: 0 },
  );
  for (const family of families)
    await printed(device, "ping", ["-c", "1", "-W", "5", serviceAddresses[family]]);
  const leaked = (await leaving.heard()).filter(({ to }) => to === serviceMac);
  assert.deepEqual(leaked, []);
});

function tagged(
  from: string,
  to: string,
  payload: string,
  etherType: number = etherTypes.experimental,
): Frame {
  return { from, to, etherType, payload, vlan: 7 };
}

function same(one: Frame, other: Frame): boolean {
  return (
    one.payload.startsWith(other.payload) && one.vlan === other.vlan && one.etherType === other.etherType
  );
}

test("with a VLAN tag it is the same: the holder alone hears and speaks, a standby asks for its neighbours", {
  skip,
  signal,
}, async () => {
  await using lab = await bridgedLab("tagged");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  const neighbour = { mac: await macOf(lab.namespaces.outside, link.card), ip: "203.0.113.1" };
  const own = { mac: serviceMac, ip: serviceAddresses.ipv4 };
  await using there = await Wire.on(lab.namespaces.outside, link.card);
  await using onA = await Wire.on(lab.boards.a, insideCard);
  await using onB = await Wire.on(lab.boards.b, insideCard);
  const request = tagged(neighbour.mac, serviceMac, "0a01");
  await there.say(request);
  await onA.until((frame) => same(frame, request));
  const answer = tagged(serviceMac, neighbour.mac, "0a02");
  await onA.say(answer);
  await there.until((frame) => same(frame, answer));

  const question = tagged(
    serviceMac,
    everybody,
    arp("request", own, { mac: "00:00:00:00:00:00", ip: neighbour.ip }),
    etherTypes.arp,
  );
  for (const frame of [
    tagged(serviceMac, neighbour.mac, "0b01"),
    tagged(serviceMac, everybody, arp("reply", own, own), etherTypes.arp),
    tagged(
      serviceMac,
      everybody,
      arp("request", own, { mac: "00:00:00:00:00:00", ip: own.ip }),
      etherTypes.arp,
    ),
    question,
  ])
    await onB.say(frame);
  // Frames of one card come in their order: with the last one, those before have been judged.
  const seen: Frame[] = [];
  await there.until((frame) => {
    seen.push(frame);
    return same(frame, question);
  });
  assert.deepEqual(seen.filter(({ vlan }) => vlan === 7).length, 1);
  const reply = tagged(neighbour.mac, serviceMac, arp("reply", neighbour, own), etherTypes.arp);
  await there.say({ ...request, payload: "0a03" });
  await there.say(reply);
  const heard: Frame[] = [];
  await onB.until((frame) => {
    heard.push(frame);
    return same(frame, reply);
  });
  assert.deepEqual(heard.filter(({ vlan }) => vlan === 7).length, 1);
});
