import assert from "node:assert/strict";
import { test } from "node:test";
import { assert as check, constantFrom, property, string } from "fast-check";
import { compareVersions } from "./version.ts";

// The examples of the specification's section "Examples", each as it stands there.
const examples: [string, "<" | "==" | ">", string][] = [
  ["11", "==", "11"],
  ["systemd-123", "==", "systemd-123"],
  ["bar-123", "<", "foo-123"],
  ["123a", ">", "123"],
  ["123.a", ">", "123"],
  ["123.a", "<", "123.b"],
  ["123a", ">", "123.a"],
  ["11α", "==", "11β"],
  ["B", "<", "a"],
  ["", "<", "0"],
  ["0.", ">", "0"],
  ["0.0", ">", "0"],
  ["0", ">", "~"],
  ["", ">", "~"],
  ["1_", "==", "1"],
  ["_1", "==", "1"],
  ["1_", "<", "1.2"],
  ["1_2_3", ">", "1.3.3"],
  ["1+", "==", "1"],
  ["+1", "==", "1"],
  ["1+", "<", "1.2"],
  ["1+2+3", ">", "1.3.3"],
];
const ascending = [
  "122.1",
  "123~rc1-1",
  "123",
  "123-a",
  "123-a.1",
  "123-1",
  "123-1.1",
  "123^post1",
  "123.a-1",
  "123.1-1",
  "123a-1",
  "124-1",
];
const signs = { "<": -1, "==": 0, ">": 1 };

test("the specification's single examples hold", () => {
  for (const [a, sign, b] of examples) {
    assert.equal(compareVersions(a, b), signs[sign], `${a} ${sign} ${b}`);
    assert.equal(compareVersions(b, a), 0 - signs[sign], `${b} against ${a}`);
  }
});

test("the specification's chain ascends, each entry against each other", () => {
  for (const [i, a] of ascending.entries()) {
    for (const [j, b] of ascending.entries())
      assert.equal(compareVersions(a, b), Math.sign(i - j), `${a} against ${b}`);
  }
});

test("numbers longer than any integer are compared, leading zeroes ignored", () => {
  assert.equal(compareVersions(`1.${"9".repeat(60)}`, `1.1${"0".repeat(60)}`), -1);
  assert.equal(compareVersions("1.007", "1.7"), 0);
});

test("it is an order: antisymmetric and transitive", () => {
  const version = string({ unit: constantFrom(..."019aZ.-~^_α".split("")), maxLength: 8 });
  check(
    property(version, version, version, (a, b, c) => {
      assert.equal(compareVersions(a, b), 0 - compareVersions(b, a));
      if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0) assert.ok(compareVersions(a, c) <= 0);
    }),
  );
});
