/** The bridged service where something is not as it should be: hosts that do not fit, bridges that go, daemons that die, strangers. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { BoardName } from "../../src/board/board.ts";
import type { Trouble } from "../../src/service/service.ts";
import { run } from "../../src/system/process.ts";
import type { GroupSettings } from "../fixtures/bridged/group.ts";
import { bridge, bridgedLab } from "../fixtures/bridged/lab.ts";
import { etherTypes, everybody, Wire } from "../fixtures/bridged/wire.ts";
import type { DaemonService } from "../fixtures/daemon-service.ts";
import { answers, hostState, ip, refused, untilAnswers } from "../fixtures/device-state.ts";
import { link, printed } from "../fixtures/namespaces.ts";
import { Peer } from "../fixtures/peer.ts";
import { insideCard } from "../fixtures/stand-in.ts";
import { deviceAddresses, outsideAddresses, serviceAddresses, serviceMac } from "../fixtures/switch-lab.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces need root";
const signal = AbortSignal.timeout(150_000);

async function untilTroubles(
  daemon: DaemonService,
  right: (found: readonly Trouble[]) => boolean,
): Promise<readonly Trouble[]> {
  for (const deadline = performance.now() + 5000; ; ) {
    const found = await daemon.troubles();
    if (right(found)) return found;
    assert.ok(performance.now() < deadline, JSON.stringify(found));
  }
}

test("a host that does not fit is refused, each time with what to do, and nothing is changed", {
  skip,
  signal,
}, async () => {
  await using lab = await bridgedLab("unfit");
  const before = await hostState(lab);
  const setUp = async (changes: Readonly<Record<string, unknown>>): Promise<void> =>
    await lab.daemon(changes).setUp(signal);
  const identity = { mac: serviceMac, ...serviceAddresses };
  await refused(setUp({ uplink: "br7" }), "missing-card", /br7, the uplink/);
  await refused(
    setUp({ uplink: "up0" }),
    "uplink-unfit",
    /up0 is no bridge but a port of one: name that, br0/,
  );
  await refused(
    setUp({ uplink: "lo" }),
    "uplink-unfit",
    /lo is no bridge: make one \(ip link add br0 type bridge\)/,
  );
  await refused(setUp({ vlans: { untagged: 7, tagged: [] } }), "uplink-unfit", /br0 does not filter by VLAN/);
  await refused(
    setUp({ identity: { ...identity, ipv4: deviceAddresses.ipv4 } }),
    "address-in-use",
    /br0 of this host has 198\.51\.100\.2 itself/,
  );
  const [{ address: mac = "" } = {}] = JSON.parse(await ip(lab, "-json", "link", "show", "dev", "up0")) as {
    address?: string;
  }[];
  await refused(
    setUp({ identity: { ...identity, mac } }),
    "address-in-use",
    /of this host has the MAC address/,
  );
  assert.deepEqual(await hostState(lab), before);
});

test("boards that serve with another identity, or another way of switching, are not taken over by a daemon that is configured otherwise", {
  skip,
  signal,
}, async () => {
  await using lab = await bridgedLab("other");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  const other = lab.daemon({ identity: { mac: "02:7b:5e:00:00:11", ...serviceAddresses } });
  await refused(
    other.setUp(signal),
    "config-changed",
    /network\.mac is 02:7b:5e:00:00:11, the boards that run have 02:7b:5e:00:00:10/,
  );
  const without = lab.daemon({ identity: { mac: serviceMac, ipv4: serviceAddresses.ipv4 } });
  await refused(without.setUp(signal), "config-changed", /network\.address6 is not there/);
  assert.equal((await daemon.inspect()).holder, "a");
  assert.ok(await answers(lab));
});

test("nothing of the bridge and its other ports is changed, and tearing down leaves the host as it was", {
  skip,
  signal,
}, async () => {
  await using lab = await bridgedLab("trace");
  await ip(lab, "link", "set", "up0", "mtu", "9000");
  await ip(lab, "link", "set", bridge, "type", "bridge", "mcast_snooping", "1");
  const before = await hostState(lab);
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  for (const to of ["a", "b"] as const) await daemon.handOver(to, signal);
  assert.deepEqual((await hostState(lab)).links, before.links, "while it serves");
  assert.ok(await answers(lab));
  await daemon.tearDown(signal);
  assert.deepEqual(await hostState(lab), before);
});

test("what the bridge had learned of somebody else with the boards' MAC address does not lead it astray, and a stranger is kept out and told", {
  skip,
  signal,
}, async () => {
  await using lab = await bridgedLab("strange");
  await using stranger = await Wire.on(lab.namespaces.outside, link.card);
  await using onHost = await Wire.on(lab.namespaces.device, bridge);
  const says = {
    from: serviceMac,
    to: everybody,
    etherType: etherTypes.experimental,
    payload: "5a",
    vlan: null,
  };
  const learned = async (): Promise<string> =>
    await printed(lab.namespaces.device, "sh", [
      "-c",
      `bridge fdb show br ${bridge} | grep ^${serviceMac} || true`,
    ]);
  await stranger.say(says);
  await onHost.until(({ payload }) => payload.startsWith("5a"));
  assert.match(await learned(), /dev up0/);
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  assert.equal(await learned(), "");
  await daemon.handOver("a", signal);
  assert.deepEqual(await daemon.troubles(), []);
  assert.ok(await answers(lab));
  await stranger.say(says);
  const [trouble] = await untilTroubles(daemon, ({ length }) => length > 0);
  assert.deepEqual(trouble, {
    service: "network",
    what: `behind up0 somebody sends with the boards' MAC address ${serviceMac}, and is kept out`,
    mendable: false,
  });
  assert.equal(await learned(), "");
  // The switch outside believed the stranger: it learns better with the holder's next word.
  await printed(lab.boards.a, "ping", ["-c", "1", "-W", "5", outsideAddresses.ipv4]);
  assert.ok(await answers(lab));
});

test("a bridge that goes, a card that is pulled out of it and a card that goes are told, what can be mended is, and the holder stays", {
  skip,
  signal,
}, async () => {
  await using lab = await bridgedLab("gone");
  let daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  const cardOf = (board: BoardName): string => lab.names.card(board, "service");
  const told = async (): Promise<string[]> => (await daemon.troubles()).map(({ what }) => what);

  await ip(lab, "link", "set", cardOf("a"), "nomaster");
  assert.deepEqual(await told(), [`${cardOf("a")} of board a is not the port of br0 that it was made`]);
  assert.equal(await answers(lab), false);
  // Out of the bridge it must not reach the host past the gate either, also if it knows the card's own address.
  const [{ address: cardMac = "" } = {}] = JSON.parse(
    await ip(lab, "-json", "link", "show", "dev", cardOf("a")),
  ) as { address?: string }[];
  const host = deviceAddresses.ipv4;
  for (const known of [[], ["lladdr", cardMac, "nud", "permanent"]]) {
    if (known.length > 0)
      await printed(lab.boards.a, "ip", ["neighbour", "replace", host, "dev", insideCard, ...known]);
    await run(...lab.boards.a.enter("ping", ["-c", "1", "-W", "1", host]), { allowedExitCodes: [1] });
    assert.match(await printed(lab.namespaces.device, "nstat", ["-asz", "IcmpInEchos"]), /IcmpInEchos +0 /);
  }
  await daemon.mend(signal);
  assert.deepEqual(await told(), []);
  await untilAnswers(lab);

  await lab.cable("up0", "down");
  await untilTroubles(daemon, (found) =>
    found.some(({ what }) => what === "no other port of br0 has a link"),
  );
  await lab.cable("up0", "up");
  await untilTroubles(daemon, ({ length }) => length === 0);

  await ip(lab, "link", "delete", bridge);
  assert.deepEqual(await told(), ["the bridge br0 is gone"]);
  await daemon.mend(signal);
  assert.equal((await daemon.inspect()).holder, "a");
  // A board that fails meanwhile is relieved all the same.
  for (const to of ["b", "a"] as const) {
    await daemon.prepare(to, signal);
    await daemon.handOver(to, signal);
  }
  await refused(daemon.attach("b", signal), "missing-card", /br0, the uplink/);
  // So does a daemon that begins without the bridge.
  await daemon.peer.kill();
  daemon = lab.daemon();
  await daemon.raiseEpoch();
  await daemon.setUp(signal);
  assert.equal((await daemon.inspect()).holder, "a");
  assert.deepEqual(await told(), ["the bridge br0 is gone"]);
  await ip(lab, "link", "add", bridge, "type", "bridge", "forward_delay", "0");
  await ip(lab, "link", "set", "up0", "master", bridge);
  await ip(lab, "link", "set", bridge, "up");
  assert.equal((await told()).length, 2);
  await daemon.mend(signal);
  assert.deepEqual(await told(), []);
  await untilAnswers(lab);

  await ip(lab, "link", "delete", cardOf("a"));
  assert.deepEqual(await told(), [`${cardOf("a")} of board a is gone`]);
  await daemon.prepare("b", signal);
  await daemon.handOver("b", signal);
  await untilAnswers(lab);
});

test("a group that both boards joined reaches whoever holds, also where the bridge listens to who joins", {
  skip,
  signal,
}, async () => {
  await using lab = await bridgedLab("group");
  const group = { group: "239.7.7.7", port: 7007 };
  // A querier is what makes a bridge believe in the reports that it has heard, and in nothing else; it waits for them that long.
  for (const words of [
    ["mcast_snooping", "1", "mcast_query_response_interval", "10"],
    ["mcast_querier", "1"],
  ])
    await ip(lab, "link", "set", bridge, "type", "bridge", ...words);
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  const file = join(import.meta.dirname, "../fixtures/bridged/group.ts");
  const member = (board: BoardName): Peer =>
    new Peer(lab.boards[board], file, { ...group, address: serviceAddresses.ipv4 } satisfies GroupSettings);
  await using a = member("a");
  await using b = member("b");
  await using sender = new Peer(lab.namespaces.outside, file, {
    ...group,
    address: outsideAddresses.ipv4,
  } satisfies GroupSettings);
  for (const one of [a, b]) await one.call("join");
  const believed = async (): Promise<string> =>
    await printed(lab.namespaces.device, "bridge", ["mdb", "show", "dev", bridge]);
  for (const deadline = performance.now() + 10_000; !(await believed()).includes(group.group); )
    assert.ok(performance.now() < deadline, "the bridge hears who joined");
  assert.doesNotMatch(
    await believed(),
    new RegExp(`port ${lab.names.card("b", "service")} grp ${group.group.replaceAll(".", "\\.")}`),
  );
  const heard = async (): Promise<[number, number]> => [
    await a.call<number>("heard"),
    await b.call<number>("heard"),
  ];
  for (const [holder, index] of [
    ["a", 0],
    ["b", 1],
  ] as const) {
    await daemon.handOver(holder, signal);
    const before = await heard();
    // Before the new holder could join anew, which it would within seconds.
    for (let count = 0; count < 20; count += 1) await sender.call("send");
    for (const deadline = performance.now() + 5000; (await heard())[index] < before[index] + 20; )
      assert.ok(performance.now() < deadline, `board ${holder} hears all of its group`);
    assert.equal((await heard())[1 - index], before[1 - index], "and the other board does not");
  }
});
