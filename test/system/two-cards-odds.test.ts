/** Two cards where something is not as it should be: hosts that do not fit, cards that go, wires that are cut, daemons that die. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "../../src/system/process.ts";
import { etherTypes, everybody, Wire } from "../fixtures/bridged/wire.ts";
import type { DaemonService } from "../fixtures/daemon-service.ts";
import { answers, hostState, ip, refused, untilAnswers } from "../fixtures/device-state.ts";
import { printed } from "../fixtures/namespaces.ts";
import { insideCard } from "../fixtures/stand-in.ts";
import { serviceAddresses, serviceMac } from "../fixtures/switch-lab.ts";
import { twoCardsLab } from "../fixtures/two-cards/lab.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces need root";
const signal = AbortSignal.timeout(150_000);
const identity = { mac: serviceMac, ...serviceAddresses };

async function untilTold(daemon: DaemonService, board: "a" | "b", obstacle: string | null): Promise<void> {
  for (const deadline = performance.now() + 10_000; ; ) {
    const told = await daemon.wireObstacle(board);
    if (told === obstacle) return;
    assert.ok(performance.now() < deadline, `${told ?? "nothing"} is told, not ${obstacle ?? "nothing"}`);
  }
}

async function told(daemon: DaemonService): Promise<string[]> {
  return (await daemon.troubles()).map(({ what }) => what);
}

test("a host that does not fit is refused, each time with what to do, and nothing is changed", {
  skip,
  signal,
}, async () => {
  await using lab = await twoCardsLab("unfit");
  await ip(lab, "link", "add", "br7", "type", "bridge");
  await ip(lab, "link", "add", "spare0", "type", "veth", "peer", "name", "spare1");
  await ip(lab, "link", "set", "spare0", "master", "br7");
  await ip(lab, "address", "add", "192.0.2.7/24", "dev", "spare1");
  const before = await hostState(lab);
  const setUp = async (changes: Readonly<Record<string, unknown>>): Promise<void> =>
    await lab.daemon(changes).setUp(signal);
  await refused(setUp({ uplinks: { a: "up0", b: "up7" } }), "missing-card", /up7, the uplink of board b/);
  await refused(
    setUp({ uplinks: { a: "up0", b: "up0" } }),
    "uplink-unfit",
    /up0, the uplink of board a, is the other board's too/,
  );
  await refused(
    setUp({ uplinks: { a: "lo", b: "up1" } }),
    "uplink-unfit",
    /lo, the uplink of board a, leads nowhere/,
  );
  await refused(
    setUp({ uplinks: { a: "spare0", b: "up1" } }),
    "uplink-unfit",
    /spare0, .* is a part of br7: name that/,
  );
  await refused(
    setUp({ uplinks: { a: "spare1", b: "up1" } }),
    "uplink-unfit",
    /spare1, .* has the address 192\.0\.2\.7: name a card without any/,
  );
  await refused(
    setUp({ identity: { ...identity, ipv4: "192.0.2.7" } }),
    "address-in-use",
    /spare1 of this host has 192\.0\.2\.7 itself/,
  );
  const [{ address: mac = "" } = {}] = JSON.parse(await ip(lab, "-json", "link", "show", "dev", "up0")) as {
    address?: string;
  }[];
  await refused(
    setUp({ identity: { ...identity, mac } }),
    "address-in-use",
    /up0 of this host has the MAC address/,
  );
  assert.deepEqual(await hostState(lab), before);
});

for (const state of ["up", "down"] as const)
  test(`tearing down leaves the host as it was, its cards ${state}`, { skip, signal }, async () => {
    await using lab = await twoCardsLab("trace");
    if (state === "down") for (const card of ["up0", "up1"]) await ip(lab, "link", "set", card, "down");
    // The kernel takes note of cards that were ever up, and of their neighbours.
    const before = await hostState(lab);
    const daemon = lab.daemon();
    await daemon.setUp(signal);
    for (const to of ["a", "b"] as const) await daemon.handOver(to, signal);
    await untilAnswers(lab);
    await daemon.tearDown(signal);
    assert.deepEqual(await hostState(lab), before);
    await daemon.setUp(signal);
    await daemon.handOver("a", signal);
    await untilAnswers(lab);
  });

test("a board without a link is not prepared to take over, unless there is no better", {
  skip,
  signal,
}, async () => {
  await using lab = await twoCardsLab("nolink");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  await lab.cable("up1", "down");
  await untilTold(daemon, "b", "up1 has no carrier");
  await refused(daemon.prepare("b", signal), "board-unlinked", /board b: up1 has no carrier/);
  assert.deepEqual(await told(daemon), ["board b: up1 has no carrier"]);
  assert.ok(await answers(lab));
  await daemon.prepare("b", signal, { partly: true });
  await daemon.handOver("b", signal);
  await lab.cable("up1", "up");
  await untilTold(daemon, "b", null);
  await untilAnswers(lab);
  assert.deepEqual(await told(daemon), []);
});

test("a card that goes is told, and its board goes on without; when it is there again it is put back", {
  skip,
  signal,
}, async () => {
  await using lab = await twoCardsLab("gone");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  await ip(lab, "link", "delete", "up1");
  await untilTold(daemon, "b", "up1 is gone");
  assert.deepEqual(await told(daemon), ["board b: up1 is gone"]);
  assert.ok(await answers(lab));
  // A daemon that starts now serves on without the card.
  await daemon.peer.kill();
  const next = lab.daemon();
  await next.setUp(signal);
  assert.equal((await next.inspect()).holder, "a");
  assert.equal(await next.wireObstacle("b"), "up1 is gone");
  await refused(next.prepare("b", signal), "board-unlinked", /up1 is gone/);
  assert.ok(await answers(lab));

  await run("ip", [
    "-netns",
    lab.switch.name,
    "link",
    "add",
    "up1",
    "type",
    "veth",
    "peer",
    "name",
    "up1",
    "netns",
    lab.namespaces.device.name,
  ]);
  await run("ip", [
    "-netns",
    lab.switch.name,
    "link",
    "set",
    "up1",
    "master",
    "sw0",
    "addrgenmode",
    "none",
    "up",
  ]);
  const troubles = await next.troubles();
  assert.deepEqual(troubles, [{ service: "network", what: "board b: up1 is down", mendable: true }]);
  await next.mend(signal);
  await untilTold(next, "b", null);
  assert.deepEqual(await told(next), []);
  await next.prepare("b", signal);
  await next.handOver("b", signal);
  await untilAnswers(lab);
});

test("a card that is renamed carries its board all the same, and that is told", {
  skip,
  signal,
}, async () => {
  await using lab = await twoCardsLab("renamed");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  await ip(lab, "link", "set", "up0", "down");
  await ip(lab, "link", "set", "up0", "name", "new0");
  await ip(lab, "link", "set", "new0", "up");
  await untilAnswers(lab);
  await untilTold(daemon, "a", null);
  assert.match((await told(daemon)).join(), /no card is named up0 any more, the uplink of board a/);
});

test("a card that is pulled out of its bridge, or a board's, is put back; one that is something else by now is not", {
  skip,
  signal,
}, async () => {
  await using lab = await twoCardsLab("pulled");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  await ip(lab, "link", "set", "up0", "nomaster");
  await untilTold(daemon, "a", "up0 is out of its bridge");
  assert.deepEqual(await daemon.troubles(), [
    { service: "network", what: "board a: up0 is out of its bridge", mendable: true },
  ]);
  await ip(lab, "address", "add", "192.0.2.7/24", "dev", "up0");
  await refused(daemon.mend(signal), "uplink-unfit", /up0, .* has the address 192\.0\.2\.7/);
  await ip(lab, "address", "delete", "192.0.2.7/24", "dev", "up0");
  await daemon.mend(signal);
  await untilTold(daemon, "a", null);
  await untilAnswers(lab);

  const card = lab.names.card("a", "service");
  await ip(lab, "link", "set", card, "nomaster");
  assert.match(
    (await told(daemon)).join(),
    new RegExp(`${card} of board a is not the port of .* that it was made`),
  );
  await daemon.mend(signal);
  assert.deepEqual(await told(daemon), []);
  await untilAnswers(lab);
});

test("over bridges of the integrator's nothing of them is changed, and what they learned leads nobody astray", {
  skip,
  signal,
}, async () => {
  await using lab = await twoCardsLab("bridges", { uplinks: { a: "br0", b: "br1" } });
  for (const [bridge, card] of [
    ["br0", "up0"],
    ["br1", "up1"],
  ] as const) {
    await ip(lab, "link", "add", bridge, "type", "bridge", "forward_delay", "0");
    await ip(lab, "link", "set", card, "master", bridge);
    await ip(lab, "link", "set", bridge, "up");
    const show = ["link", "show", "dev", bridge];
    for (const deadline = performance.now() + 10_000; !(await ip(lab, ...show)).includes("state UP"); )
      assert.ok(performance.now() < deadline, `${bridge} is up`);
  }
  const before = await hostState(lab);
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  assert.deepEqual((await hostState(lab)).links, before.links, "while it serves");
  await using onA = await Wire.on(lab.boards.a, insideCard);
  // Each broadcast of the holder arrives at the other board's bridge, which learns by default.
  await onA.say({
    from: serviceMac,
    to: everybody,
    etherType: etherTypes.experimental,
    payload: "5a",
    vlan: null,
  });
  for (const to of ["b", "a", "b"] as const) {
    await daemon.prepare(to, signal);
    await daemon.handOver(to, signal);
    await untilAnswers(lab);
    assert.deepEqual(await told(daemon), []);
  }
  await daemon.tearDown(signal);
  assert.deepEqual(await hostState(lab), before);
  await daemon.setUp(signal);
  await ip(lab, "link", "set", "br1", "down");
  await untilTold(daemon, "b", "br1 is down");
});

test("a daemon that dies in the middle of a takeover leaves one card open, and the next one finds it", {
  skip,
  signal,
}, async () => {
  await using lab = await twoCardsLab("dies", { lingerMs: 1000 });
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  await daemon.handOver("b", signal);
  await daemon.peer.kill();
  const open = async (name: string): Promise<string> =>
    await printed(lab.namespaces.device, "nft", ["list", "set", "bridge", lab.names.table, name]);
  const cardA = lab.names.card("a", "service");
  for (const name of ["tx", "late"])
    for (const deadline = performance.now() + 10_000; (await open(name)).includes(cardA); )
      assert.ok(performance.now() < deadline, "the old card is open");
  assert.match(await open("rx"), new RegExp(lab.names.card("b", "service")));
  const next = lab.daemon();
  await next.setUp(signal);
  const { holder, draining } = await next.inspect();
  assert.deepEqual({ holder, draining }, { holder: "b", draining: "a" });
  await next.fence("a");
  await untilAnswers(lab);
});

test("a bridge that an earlier configuration needed goes with it, and the board's card moves", {
  skip,
  signal,
}, async () => {
  await using lab = await twoCardsLab("other");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  await daemon.peer.kill();
  await ip(lab, "link", "set", "up1", "nomaster");
  await ip(lab, "link", "add", "br1", "type", "bridge", "forward_delay", "0");
  await ip(lab, "link", "set", "up1", "master", "br1");
  await ip(lab, "link", "set", "br1", "up");
  const next = lab.daemon({ uplinks: { a: "up0", b: "br1" } });
  await next.setUp(signal);
  const bridges = await ip(lab, "-json", "link", "show", "type", "bridge");
  assert.deepEqual(
    (JSON.parse(bridges) as { ifname: string }[]).map(({ ifname }) => ifname).toSorted(),
    ["br1", lab.names.card("a", "bridge")].toSorted(),
  );
  await next.prepare("b", signal);
  await next.handOver("b", signal);
  await untilAnswers(lab);
});

test("somebody kills the programs that announce and watch: both are there again when they are needed", {
  skip,
  signal,
}, async () => {
  await using lab = await twoCardsLab("killed");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  await untilTold(daemon, "a", null);
  const { stdout } = await run("ip", ["netns", "pids", lab.namespaces.device.name]);
  const pids = stdout.toString().split("\n").filter(Boolean);
  const children: string[] = [];
  for (const pid of pids) {
    const name = (await run("cat", [`/proc/${pid}/comm`], { allowedExitCodes: [1] })).stdout
      .toString()
      .trim();
    if (name !== "socat" && name !== "ip") continue;
    children.push(name);
    process.kill(Number(pid), "SIGKILL");
  }
  assert.ok(children.includes("ip"), children.join());
  await lab.cable("up0", "down");
  await untilTold(daemon, "a", "up0 has no carrier");
  await daemon.prepare("b", signal, { partly: true });
  await daemon.handOver("b", signal);
  await untilAnswers(lab);
});
