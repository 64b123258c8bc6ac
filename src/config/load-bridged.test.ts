/** The network section of a bridged system: what is taken, and which mistakes are named, where. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { mistakeText, parseConfig } from "./load.ts";

const good = `system: gateway
compatible: acme-gateway
trust: { keyring: keyring.pem }
boards: { memory: 256MiB }
network:
  mode: bridged
  uplink: br0
  mac: 52:54:00:AB:CD:10
  address: 198.51.100.10/24
  gateway: 198.51.100.1
  address6: 2001:DB8::10/64
  gateway6: fe80::1
  linger: 50ms
  vlan: 10
  vlans: [20, 30]
`;

function networkOf(text: string): unknown {
  const result = parseConfig(text, "/etc/twinboard/gateway.yaml");
  assert.ok("config" in result, JSON.stringify(result));
  return result.config.network;
}

test("an identity in both families, gateways, VLANs: as the kernel prints them", () => {
  assert.deepEqual(networkOf(good), {
    mode: "bridged",
    uplink: "br0",
    identity: {
      mac: "52:54:00:ab:cd:10",
      ipv4: { address: "198.51.100.10", prefixLength: 24, gateway: "198.51.100.1" },
      ipv6: { address: "2001:db8::10", prefixLength: 64, gateway: "fe80::1" },
    },
    lingerMs: 50,
    vlans: { untagged: 10, tagged: [20, 30] },
  });
});

test("a bridge is all that must be named", () => {
  assert.deepEqual(networkOf(good.replace(/ {2}mac[^]*/, "")), {
    mode: "bridged",
    uplink: "br0",
    identity: { mac: null },
    lingerMs: 20,
    vlans: { untagged: null, tagged: [] },
  });
});

/** Each row: what is replaced in the good file, by what, and the mistakes that must be named, line and column included. */
const table: [name: string, from: string, to: string, expected: RegExp[]][] = [
  [
    "a group's MAC address",
    "52:54:00:AB:CD:10",
    "53:54:00:AB:CD:10",
    [/^f:8:8: network\.mac: expected the MAC/],
  ],
  [
    "an address without its prefix",
    "198.51.100.10/24",
    "198.51.100.10",
    [/^f:9:12: .*expected an IPv4 address with its prefix/],
  ],
  [
    "a MAC address of zeros, from which bridges take nothing",
    "52:54:00:AB:CD:10",
    "00:00:00:00:00:00",
    [/^f:8:8: network\.mac: expected the MAC address of a card, which is not all zeros/],
  ],
  [
    "the network's own address",
    "198.51.100.10/24",
    "198.51.100.0/24",
    [/^f:9:12: .*198\.51\.100\.0 is the network's own address: expected an IPv4/],
  ],
  [
    "the network's broadcast address",
    "198.51.100.10/24",
    "198.51.100.255/24",
    [/^f:9:12: .*is the network's broadcast address/],
  ],
  ["an IPv6 network", "2001:DB8::10/64", "2001:db8::/64", [/^f:11:13: .*is the network's own address/]],
  [
    "an address with a zone",
    "2001:DB8::10/64",
    "fe80::1%eth0/64",
    [/^f:11:13: .*expected an IPv6 address with its prefix/],
  ],
  [
    "a gateway elsewhere",
    "gateway: 198.51.100.1",
    "gateway: 198.51.101.1",
    [/^f:10:12: network\.gateway: is not in the network of 198\.51\.100\.10\/24$/],
  ],
  [
    "the boards' own address as gateway",
    "gateway: 198.51.100.1",
    "gateway: 198.51.100.10",
    [/^f:10:12: .*is the boards' own address$/],
  ],
  [
    "a gateway of the other family",
    "gateway6: fe80::1",
    "gateway6: 198.51.100.1",
    [/^f:12:13: .*is of another family than/],
  ],
  [
    "a gateway with a prefix",
    "gateway6: fe80::1",
    "gateway6: fe80::1/64",
    [/^f:12:13: .*expected the address of a router/],
  ],
  [
    "a group as gateway",
    "gateway6: fe80::1",
    "gateway6: ff02::2",
    [/^f:12:13: .*ff02::2 is a multicast address/],
  ],
  [
    "a VLAN that is reserved",
    "vlan: 10",
    "vlan: 4095",
    [/^f:14:9: network\.vlan: expected a whole number from 1 to 4094, not 4095$/],
  ],
  ["no VLANs", "[20, 30]", "[]", [/^f:15:3: network\.vlans: expected at least one VLAN$/]],
  [
    "a VLAN twice",
    "[20, 30]",
    "[20, 10, 20]",
    [/^f:15:15: network\.vlans\[1\]: VLAN 10 is named already$/, /^f:15:19: network\.vlans\[2\]: VLAN 20/],
  ],
  [
    "VLANs where nothing is bridged",
    "mode: bridged\n  uplink: br0",
    "mode: two-cards\n  uplinks: { a: up0, b: up1 }",
    [/^f:14:9: network\.vlan: means nothing in mode two-cards/],
  ],
];

for (const [name, from, to, expected] of table) {
  test(`refused with line and column: ${name}`, () => {
    assert.ok(good.includes(from), "the row must change the file");
    const result = parseConfig(good.replace(from, to), "/etc/twinboard/gateway.yaml");
    assert.ok("mistakes" in result, "this configuration should have been refused");
    const found = result.mistakes.map((mistake) => mistakeText("f", mistake));
    assert.equal(found.length, expected.length, found.join("\n"));
    for (const want of expected)
      assert.ok(
        found.some((text) => want.test(text)),
        `expected ${String(want)} in:\n${found.join("\n")}`,
      );
  });
}
