import assert from "node:assert/strict";
import { test } from "node:test";
import { bigInt, assert as forAll, integer, property } from "fast-check";
import { addressAt, canonical, holds, isAddress, parsePrefix, unfitness } from "./network-address.ts";

test("a prefix holds its first and its last address and nothing beside them, in both families", () => {
  for (const [text, before, first, last, after] of [
    ["10.231.0.0/29", "10.230.255.255", "10.231.0.0", "10.231.0.7", "10.231.0.8"],
    ["0.0.0.0/1", "128.0.0.0", "0.0.0.0", "127.255.255.255", "255.255.255.255"],
    ["fd00::/126", "fcff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fd00::", "fd00::3", "fd00::4"],
    ["2001:db8::/32", "2001:db7:ffff::", "2001:db8::", "2001:db8:ffff::", "2001:db9::"],
  ] as const) {
    const prefix = parsePrefix(text);
    assert.ok(prefix !== undefined, text);
    assert.deepEqual(
      [before, first, last, after].map((address) => holds(prefix, address)),
      [false, true, true, false],
      text,
    );
  }
});

test("no prefix holds an address of the other family", () => {
  const all = [parsePrefix("0.0.0.0/0"), parsePrefix("::/0")];
  assert.deepEqual(
    ["198.51.100.10", "2001:db8::10"].map((address) =>
      all.map((prefix) => prefix !== undefined && holds(prefix, address)),
    ),
    [
      [true, false],
      [false, true],
    ],
  );
});

test("what is no prefix is refused: bits beyond the mask, too long a mask, a zone", () => {
  for (const text of [
    "10.0.0.1/29",
    "10.0.0.0/33",
    "fd00::1/64",
    "fd00::/129",
    "fe80::%eth0/64",
    "fd00::",
    "x/8",
  ])
    assert.equal(parsePrefix(text), undefined, text);
  assert.equal(isAddress("fe80::1%eth0"), false);
});

test("the addresses of a prefix follow each other", () => {
  const some = property(
    bigInt({ min: 0n, max: 2n ** 48n - 1n }),
    integer({ min: 0, max: 3 }),
    (net, offset) => {
      const prefix = { family: 6, base: ((0xfd00n << 48n) | net) << 64n, length: 64 } as const;
      const address = addressAt(prefix, offset);
      return holds(prefix, address) && canonical(address) === address && unfitness(address) === undefined;
    },
  );
  forAll(some);
  assert.equal(addressAt({ family: 4, base: 10n * 2n ** 24n, length: 8 }, 259), "10.0.1.3");
});
