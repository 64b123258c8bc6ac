import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "./load.ts";

const good = `system: gateway
compatible: acme
trust: { keyring: k.pem }
boards: { memory: 64MiB }
network:
  mode: two-cards
  uplinks: { a: up0, b: br1 }
  address: 198.51.100.10/24
  gateway: 198.51.100.1
  vlans: [20]
`;
const passed = good
  .replace("{ a: up0, b: br1 }", '{ a: { pci: "0000:03:00.0" }, b: { pci: "0000:0A:1f.7" } }')
  .replace("  vlans: [20]\n", "");

function networkOf(text: string): unknown {
  const result = parseConfig(text, "/etc/twinboard/gateway.yaml");
  assert.ok("config" in result, JSON.stringify(result));
  return result.config.network;
}

const identity = {
  mac: null,
  ipv4: { address: "198.51.100.10", prefixLength: 24, gateway: "198.51.100.1" },
};

test("a card or a bridge for each board, and what they carry", () => {
  assert.deepEqual(networkOf(good), {
    mode: "two-cards",
    uplinks: { a: "up0", b: "br1" },
    passedThrough: false,
    identity,
    lingerMs: 20,
    vlans: [20],
  });
});

test("cards that the boards have for themselves are named as lspci names them", () => {
  assert.deepEqual(networkOf(passed), {
    mode: "two-cards",
    uplinks: { a: "0000:03:00.0", b: "0000:0a:1f.7" },
    passedThrough: true,
    identity,
    lingerMs: 20,
    vlans: [],
  });
});

const table: readonly (readonly [string, string, string, string, RegExp[]])[] = [
  [
    "no uplinks",
    good,
    "  uplinks: { a: up0, b: br1 }\n",
    "",
    [/network\.uplinks: is missing, mode two-cards needs it/],
  ],
  ["one uplink", good, ", b: br1", "", [/network\.uplinks\.b: is missing/]],
  ["the same card twice", good, "br1", "up0", [/network\.uplinks\.b: board a has up0 already/]],
  [
    "an uplink as the other modes have it",
    good,
    "uplinks: { a: up0, b: br1 }",
    "uplink: up0",
    [/network\.uplink: means nothing in mode two-cards/, /network\.uplinks: is missing/],
  ],
  [
    "a card of each kind",
    good,
    "b: br1",
    'b: { pci: "0000:03:00.0" }',
    [/network\.uplinks\.b: is passed through or not as that of board a/],
  ],
  [
    "no PCI address",
    passed,
    "0000:03:00.0",
    "03:00.0",
    [/network\.uplinks\.a\.pci: expected the address of a PCI device, such as 0000:03:00\.0/],
  ],
  [
    "another key",
    passed,
    '{ pci: "0000:03:00.0" }',
    "{ pcie: x }",
    [/network\.uplinks\.a\.pci/, /unknown key, did you mean pci\?/],
  ],
  [
    "the same device twice",
    passed,
    "0000:0A:1f.7",
    "0000:03:00.0",
    [/network\.uplinks\.b: board a has 0000:03:00\.0 already/],
  ],
  [
    "a linger where the host has no say",
    passed,
    "  gateway:",
    "  linger: 5ms\n  gateway:",
    [/network\.linger: means nothing with cards that the boards have for themselves/],
  ],
  [
    "VLANs where the host has no say",
    passed,
    "  gateway:",
    "  vlans: [7]\n  gateway:",
    [/network\.vlans: means nothing with cards/],
  ],
  [
    "a name that no card can have",
    good,
    "a: up0",
    "a: up0/1",
    [/network\.uplinks\.a: expected the name of a network card/],
  ],
];

for (const [name, text, from, to, expected] of table)
  test(`refused: ${name}`, () => {
    assert.ok(text.includes(from), "the row must change the file");
    const result = parseConfig(text.replace(from, to), "f");
    assert.ok("mistakes" in result, JSON.stringify(result));
    const told = result.mistakes.map(({ path, message }) => `${path}: ${message}`);
    for (const one of expected) assert.match(told.join("\n"), one);
  });
