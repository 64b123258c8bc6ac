import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { coreListText, parseCoreList } from "./core-list.ts";

test("lists of cores as the kernel prints them", () => {
  const lists = { "0": [0], "0-3": [0, 1, 2, 3], "0,2-3,7\n": [0, 2, 3, 7], "": [], "3,1-2,2": [1, 2, 3] };
  for (const [text, cores] of Object.entries(lists)) assert.deepEqual(parseCoreList(text), cores, text);
  for (const text of ["x", "1-", "3-1", "1,,2", "-1", "4096", "1 2"])
    assert.equal(parseCoreList(text), undefined, text);
});

test("what is printed is what is read", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(300)), (cores) => {
      const sorted = cores.toSorted((one, two) => one - two);
      assert.deepEqual(parseCoreList(coreListText(cores)), sorted);
    }),
  );
  assert.equal(coreListText([3, 1, 2, 7]), "1-3,7");
});
