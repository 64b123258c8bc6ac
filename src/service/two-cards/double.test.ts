import assert from "node:assert/strict";
import { test } from "node:test";
import { doubleCards } from "./double.ts";
import { gatewayMacs } from "./gateways.ts";

const gateways = {
  ipv4: { address: "198.51.100.1", prefixLength: 24 },
  ipv6: { address: "fe80::1", prefixLength: 64 },
};
const [one, other] = ["02:00:00:00:00:01", "02:00:00:00:00:02"];

test("a gateway of both families has one card, two machines have two", () => {
  const [four, six] = ["198.51.100.1/24", "fe80::1/64"];
  assert.deepEqual(doubleCards(gateways, { ipv4: one, ipv6: one }), [{ mac: one, addresses: [four, six] }]);
  assert.deepEqual(doubleCards(gateways, { ipv4: one, ipv6: other }), [
    { mac: one, addresses: [four] },
    { mac: other, addresses: [six] },
  ]);
});

test("what is not configured, or was not found, has no double", () => {
  assert.deepEqual(doubleCards(gateways, { ipv4: undefined, ipv6: undefined }), []);
  assert.deepEqual(doubleCards({}, { ipv4: one, ipv6: one }), []);
  const { ipv6 } = gateways;
  assert.deepEqual(doubleCards({ ipv6 }, { ipv4: one, ipv6: other }), [
    { mac: other, addresses: ["fe80::1/64"] },
  ]);
});

/** An element with a timeout, as nft lists it. */
function said(val: string, expires: number): unknown {
  return { elem: { val, timeout: 3600, expires } };
}

test("of several who said that they are the gateway, who said so last is believed", () => {
  const sets = [
    { name: "gateway4", elements: [said(one, 3000), said(other, 3500)] },
    { name: "gateway6", elements: [] },
  ];
  assert.deepEqual(gatewayMacs(sets), { ipv4: other, ipv6: undefined });
  assert.deepEqual(gatewayMacs([]), { ipv4: undefined, ipv6: undefined });
});
