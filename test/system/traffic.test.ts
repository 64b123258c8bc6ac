/** What the tests and the benches measure with, held against losses that are made: it must find each, and lose none of its own. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { BoardName } from "../../src/board/board.ts";
import { run } from "../../src/system/process.ts";
import { link, macOf, printed } from "../fixtures/namespaces.ts";
import { insideCard } from "../fixtures/stand-in.ts";
import {
  outsideAddresses,
  SwitchLab,
  serviceAddresses,
  serviceMac,
  sharedIdentity,
} from "../fixtures/switch-lab.ts";
import { FrameTraffic } from "../fixtures/traffic/frames.ts";
import type { Course } from "../fixtures/traffic/holder-walk.ts";
import { type Claim, Noise, type NoiseOrder, Witness } from "../fixtures/traffic/noise.ts";
import { DatagramTraffic } from "../fixtures/traffic/traffic.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces need root";
const signal = AbortSignal.timeout(100_000);
const port = 7000;
const noTakeovers: Course = { holder: "a", takeovers: [], windowHalfMs: 10, underwayMs: 5 };

/** A device that passes everything on, from and to the boards that are named, whoever holds. */
async function plainLab(purpose: string, boards: readonly BoardName[]): Promise<SwitchLab> {
  const lab = await SwitchLab.make(purpose, {
    uplinks: ["up0"],
    bridge: "br0",
    deviceAddressed: true,
    boards: sharedIdentity,
    program: "",
    settings: {},
  });
  const device = ["-netns", lab.namespaces.device.name];
  // Reports of groups pass as all else does.
  await run("ip", [...device, "link", "set", "br0", "type", "bridge", "mcast_snooping", "0"]);
  for (const board of boards) {
    const card = lab.names.card(board, "service");
    await run("ip", [...device, "link", "set", card, "master", "br0"]);
    // Both boards have one MAC address: a bridge that learned it would believe in whoever spoke last. Off before the first word.
    await run("bridge", [...device, "link", "set", "dev", card, "learning", "off"]);
    await run("ip", [...device, "link", "set", card, "up"]);
  }
  return lab;
}

/** After the header of UDP come the mark and the number, 32 bits each. */
function drop(way: "dport" | "sport", numbers: readonly number[]): string {
  return `meta l4proto udp th ${way} ${port} @th,96,32 { ${numbers.join(", ")} } drop`;
}

/** Drops numbered datagrams on the device: those of the first list on their way there, the others' answers. */
async function dropOnDevice(
  lab: SwitchLab,
  there: readonly number[],
  back: readonly number[],
): Promise<void> {
  const add = (...what: string[]): Promise<string> => printed(lab.namespaces.device, "nft", ["add", ...what]);
  await add("table", "bridge", "losses");
  await add("chain", "bridge", "losses", "forward", "{ type filter hook forward priority 0; }");
  await add("rule", "bridge", "losses", "forward", drop("dport", there));
  await add("rule", "bridge", "losses", "forward", drop("sport", back));
}

for (const family of ["ipv4", "ipv6"] as const) {
  test(`${family}: of numbered datagrams exactly those are lost that were dropped, each on its own way`, {
    skip,
    signal,
  }, async () => {
    await using lab = await plainLab("lossy", ["a"]);
    const there = [0, 5, 6, 7, 500];
    const back = [9, 600, 601];
    await dropOnDevice(lab, there, back);
    await using traffic = await DatagramTraffic.make(lab.namespaces.outside, lab.boards, {
      host: serviceAddresses[family],
      port,
      everyUs: 1000,
      capacity: 1_000_000,
      perSocket: 100,
    });
    await traffic.start();
    await traffic.untilHeard("a", 1000);
    const verdict = await traffic.stop(noTakeovers);
    assert.deepEqual(
      [verdict.lostThere, verdict.lostBack, verdict.lost, verdict.lostBeforeTakeovers],
      [there.length, back.length, there.length + back.length, there.length + back.length],
    );
    const { doubled, foreign, overflowed, failed, heardBy, sent } = verdict;
    assert.deepEqual(
      { doubled, foreign, overflowed, failed },
      { doubled: 0, foreign: 0, overflowed: 0, failed: {} },
    );
    assert.deepEqual(heardBy, { a: sent - there.length, b: 0 });
  });
}

test("two boards that both hear are found: every datagram and every frame is heard by both and answered twice", {
  skip,
  signal,
}, async () => {
  await using lab = await plainLab("both", ["a", "b"]);
  await using datagrams = await DatagramTraffic.make(lab.namespaces.outside, lab.boards, {
    host: serviceAddresses.ipv4,
    port,
    everyUs: 1000,
    capacity: 1_000_000,
  });
  await using frames = await FrameTraffic.make(lab.namespaces.outside, lab.boards, {
    to: serviceMac,
    everyUs: 2000,
  });
  await datagrams.start();
  await frames.start();
  await datagrams.untilHeard("b", 500);
  for (const verdict of [await datagrams.stop(noTakeovers), await frames.stop(noTakeovers)]) {
    const { sent, lost, doubled, heardByBoth, heardByWrong } = verdict;
    assert.ok(sent > 100);
    const all = { doubled: sent, heardByBoth: sent, heardByWrong: sent };
    assert.deepEqual({ lost, doubled, heardByBoth, heardByWrong }, { lost: 0, ...all });
  }
});

const outside: Claim = {
  mac: "",
  ipv4: outsideAddresses.ipv4,
  ipv6: outsideAddresses.ipv6,
};
const stranger: Claim = { mac: "02:00:00:00:00:77", ipv4: "198.51.100.77", ipv6: "2001:db8::77" };

test("a witness outside sees every kind of noise of a board that nobody fences, and one on a board all work", {
  skip,
  signal,
}, async () => {
  await using lab = await plainLab("noisy", ["a", "b"]);
  const common: Omit<NoiseOrder, "what" | "by" | "card"> = {
    service: { mac: serviceMac, ipv4: serviceAddresses.ipv4, ipv6: serviceAddresses.ipv6 },
    port,
    neighbour: { ...outside, mac: await macOf(lab.namespaces.outside, link.card) },
    stranger,
    everyMs: 50,
  };
  await using there = await Witness.on(lab.namespaces.outside, link.card);
  await using onB = await Witness.on(lab.boards.b, insideCard);
  await using noise = new Noise(lab.boards.a, { ...common, what: "noise", by: "a", card: insideCard });
  await using work = new Noise(lab.namespaces.outside, { ...common, what: "work", by: "o", card: link.card });
  await noise.untilRounds(3);
  await work.untilRounds(3);
  const said = Object.keys(await noise.sent());
  // No bridge passes it on (IEEE 802.1Q, table 8-1).
  const expected = said.filter((kind) => kind !== "lldp");
  assert.ok(expected.length > 30);
  assert.deepEqual(Object.keys((await there.seen())["a"] ?? {}).toSorted(), expected.toSorted());
  const asked = Object.keys(await work.sent());
  assert.deepEqual(Object.keys((await onB.seen())["o"] ?? {}).toSorted(), asked.toSorted());
});

test("the switch learns ports, and forgets nothing when a cable is pulled that it does not use", {
  skip,
  signal,
}, async () => {
  await using lab = await SwitchLab.make("learn", {
    uplinks: ["up0", "up1"],
    deviceAddressed: false,
    boards: sharedIdentity,
    program: "",
    settings: {},
  });
  const say = async (card: string): Promise<void> => {
    const order = {
      what: "noise",
      by: "d",
      card,
      service: { mac: serviceMac, ipv4: serviceAddresses.ipv4, ipv6: serviceAddresses.ipv6 },
      port,
      neighbour: { ...outside, mac: await macOf(lab.namespaces.outside, link.card) },
      stranger,
      everyMs: 50,
    } as const;
    await using noise = new Noise(lab.namespaces.device, order);
    await noise.untilRounds(1);
  };
  assert.equal(await lab.portOf(serviceMac), undefined);
  await say("up0");
  assert.equal(await lab.portOf(serviceMac), "up0");
  await say("up1");
  assert.equal(await lab.portOf(serviceMac), "up1");
  await lab.cable("up0", "down");
  assert.equal(await lab.portOf(serviceMac), "up1");
  assert.match(await printed(lab.namespaces.device, "ip", ["link", "show", "dev", "up0"]), /NO-CARRIER/);
});
