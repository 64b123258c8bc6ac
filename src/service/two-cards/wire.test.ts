import assert from "node:assert/strict";
import { test } from "node:test";
import type { Link } from "../../system/links.ts";
import { systemNames } from "../../system/names.ts";
import type { TwoCardsPlan } from "./plan.ts";
import { bridgedPlanOf, obstacleOf, outerPorts, requireUplink } from "./wire.ts";

const names = systemNames("test");
const plan: TwoCardsPlan = {
  names,
  uplinks: { a: "up0", b: "br1" },
  identity: { mac: "52:54:00:00:00:10" },
  gateways: {},
  lingerMs: 20,
  vlans: [7],
  stateDirectory: "/nowhere",
};
const own = names.card("a", "bridge");
const settings = { vlanFiltering: false, callsIpRules: false };

type Given = Partial<Link> & { readonly name: string };

function found(...given: readonly Given[]): ReadonlyMap<string, Link> {
  const nothing = { kind: undefined, bridge: undefined, port: undefined, master: undefined };
  return new Map(
    given.map((link) => [link.name, { mac: "", mtu: 1500, up: true, carrier: true, ...nothing, ...link }]),
  );
}

function port(name: string, bridge: string, more: Partial<Link> = {}, state = "forwarding") {
  return { name, master: bridge, port: { bridge, state, learning: true }, ...more };
}

const bridge = (name: string, more: Partial<Link> = {}) => ({
  name,
  kind: "bridge",
  bridge: settings,
  ...more,
});

test("a card gets a bridge of ours, the integrator's bridge stays as it is", () => {
  const links = found({ name: "up0" }, bridge("br1"));
  assert.equal(bridgedPlanOf(plan, "a", links).uplink, own);
  assert.equal(bridgedPlanOf(plan, "b", links).uplink, "br1");
  assert.deepEqual(bridgedPlanOf(plan, "b", links).vlans.tagged, []);
  const filtering = found(bridge("br1", { bridge: { ...settings, vlanFiltering: true } }));
  assert.deepEqual(bridgedPlanOf(plan, "b", filtering).vlans.tagged, [7]);
});

test("a card that is gone is still the one whose bridge is there", () => {
  assert.equal(bridgedPlanOf(plan, "a", found(bridge(own))).uplink, own);
});

test("what leads outside is neither the board's card nor its double", () => {
  const links = found(
    bridge("br1"),
    port("up1", "br1"),
    port(names.card("b", "service"), "br1"),
    port(names.card("b", "double"), "br1"),
    port("other", "br7"),
  );
  assert.deepEqual(
    outerPorts(plan, "b", links).map(({ name }) => name),
    ["up1"],
  );
});

const cases: readonly (readonly [string, "a" | "b", readonly Given[], string | null])[] = [
  ["all is well", "a", [bridge(own), port("up0", own)], null],
  ["a renamed card still leads outside", "a", [bridge(own), port("new0", own)], null],
  [
    "one of several ports is enough",
    "b",
    [bridge("br1"), port("up1", "br1", { carrier: false }), port("up2", "br1")],
    null,
  ],
  ["before the daemon has its bridge", "a", [{ name: "up0" }], null],
  [
    "no carrier before the daemon has its bridge",
    "a",
    [{ name: "up0", carrier: false }],
    "up0 has no carrier",
  ],
  ["no carrier", "a", [bridge(own), port("up0", own, { carrier: false })], "up0 has no carrier"],
  ["down", "a", [bridge(own), port("up0", own, { up: false, carrier: false })], "up0 is down"],
  ["gone", "a", [bridge(own)], "up0 is gone"],
  ["pulled out of our bridge", "a", [bridge(own), { name: "up0" }], "up0 is out of its bridge"],
  [
    "a port that does not forward yet",
    "b",
    [bridge("br1"), port("up1", "br1", {}, "learning")],
    "up1 is learning in br1",
  ],
  ["an empty bridge", "b", [bridge("br1")], "no card is plugged into br1"],
  ["a bridge that is gone", "b", [], "br1 is gone"],
  ["a bridge that is down", "b", [bridge("br1", { up: false }), port("up1", "br1")], "br1 is down"],
];

for (const [what, board, links, expected] of cases)
  test(`${what}: ${expected ?? "no obstacle"}`, () => {
    assert.equal(obstacleOf(plan, board, found(...links)), expected);
  });

const refusals: readonly (readonly [string, readonly Given[], string[], RegExp])[] = [
  ["is not there", [], [], /missing: up0, the uplink of board a$/],
  [
    "is a port of another's bridge",
    [port("up0", "br7")],
    [],
    /up0, the uplink of board a, is a part of br7: name that/,
  ],
  ["is a part of a bond", [{ name: "up0", master: "bond0" }], [], /is a part of bond0/],
  [
    "has an address",
    [{ name: "up0" }],
    ["198.51.100.2"],
    /has the address 198\.51\.100\.2: name a card without any/,
  ],
  ["has an IPv6 address", [{ name: "up0" }], ["fe80::1", "2001:db8::2"], /has the address 2001:db8::2/],
];

for (const [what, links, addresses, message] of refusals)
  test(`a card that ${what} is refused`, () => {
    const addressed = addresses.map((address) => ({ address, card: "up0" }));
    assert.throws(() => requireUplink(plan, "a", found(...links), addressed), message);
  });

test("a card without an address of its own, one that is in our bridge already, and a bridge with addresses are taken", () => {
  const links = found({ name: "up0" }, bridge("br1"));
  requireUplink(plan, "a", links, [{ address: "fe80::1", card: "up0" }]);
  requireUplink(plan, "a", found(port("up0", own)), []);
  requireUplink(plan, "b", links, [{ address: "198.51.100.2", card: "br1" }]);
});

test("both boards cannot have the same card", () => {
  const same = { ...plan, uplinks: { a: "up0", b: "up0" } };
  assert.throws(
    () => requireUplink(same, "b", found({ name: "up0" }), []),
    /up0, the uplink of board b, is the other board's too/,
  );
});
