import assert from "node:assert/strict";
import { test } from "node:test";
import { systemNames } from "../../system/names.ts";
import {
  addresses6Of,
  identitySets,
  refuseAnyIdentity,
  refuseOtherIdentity,
  type SharedIdentity,
} from "./identity.ts";
import { absent, type Standing } from "./register.ts";

const identity: SharedIdentity = { mac: "52:54:00:00:00:10", ipv4: "198.51.100.10" };
const serving: Standing = {
  ...absent,
  present: true,
  holder: "a",
  sets: [
    { name: "identity_mac", elements: [identity.mac] },
    { name: "identity4", elements: [identity.ipv4] },
    { name: "identity6", elements: [] },
  ],
};

test("what the boards were told is what is kept, also what they were not told", () => {
  assert.equal(
    identitySets(identity),
    [
      "set identity_mac { type ether_addr; elements = { 52:54:00:00:00:10 }; }",
      "set identity4 { type ipv4_addr; elements = { 198.51.100.10 }; }",
      "set identity6 { type ipv6_addr;  }",
    ].join("\n"),
  );
  refuseOtherIdentity(identity, serving);
});

function refused(changed: SharedIdentity, standing: Standing, message: RegExp): void {
  assert.throws(() => refuseOtherIdentity(changed, standing), { code: "config-changed", message });
}

test("boards that serve with another identity are named, with what they have", () => {
  refused(
    { ...identity, mac: "52:54:00:00:00:11" },
    serving,
    /network\.mac is 52:54:00:00:00:11, .* have 52/,
  );
  refused({ mac: identity.mac }, serving, /network\.address is not there, .* have 198\.51\.100\.10/);
  refused({ ...identity, ipv6: "2001:db8::1" }, serving, /network\.address6 is 2001:db8::1, .* have none/);
  refused(identity, { ...serving, sets: [] }, /another network\.mode/);
  refuseOtherIdentity({ mac: "52:54:00:00:00:11" }, { ...serving, holder: null });
});

test("boards that serve with one identity are not each somebody of its own", () => {
  assert.throws(() => refuseAnyIdentity(serving), {
    code: "config-changed",
    message: /another network\.mode/,
  });
  refuseAnyIdentity({ ...serving, holder: null });
  refuseAnyIdentity({ ...serving, sets: [] });
});

test("a card's own link-local address follows from its MAC address", () => {
  assert.deepEqual(addresses6Of({ mac: "52:54:00:00:00:10" }), ["fe80::5054:ff:fe00:10"]);
  const names = systemNames("test");
  assert.deepEqual(addresses6Of({ mac: names.mac("a", "service"), ipv6: "2001:db8::10" }), [
    "2001:db8::10",
    names.linkLocal("a", "service"),
  ]);
});
