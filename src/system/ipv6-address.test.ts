import assert from "node:assert/strict";
import { test } from "node:test";
import { bigInt, assert as forAll, property } from "fast-check";
import { canonicalIpv6, ipv6ToNumber, numberToIpv6, solicitedNode } from "./ipv6-address.ts";

test("every way of writing an address is the same number, and one text", () => {
  for (const text of ["2001:db8::a:0:1", "2001:DB8:0:0:0:A:0:1", "2001:db8::a:0.0.0.1"]) {
    assert.equal(ipv6ToNumber(text), 0x2001_0db8_0000_0000_0000_000a_0000_0001n);
    assert.equal(canonicalIpv6(text), "2001:db8::a:0:1");
  }
  assert.equal(ipv6ToNumber("::"), 0n);
  assert.equal(ipv6ToNumber("ff00::"), 0xff00n << 112n);
});

test("a number comes back from its text", () => {
  const any = bigInt({ min: 0n, max: 2n ** 128n - 1n });
  forAll(property(any, (value) => ipv6ToNumber(numberToIpv6(value)) === value));
});

test("the group of an address has its last 24 bits", () => {
  assert.equal(solicitedNode("2001:db8::12:3456"), "ff02::1:ff12:3456");
  assert.equal(solicitedNode("fd00::1"), "ff02::1:ff00:1");
});
