import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parsePlace, placeLine } from "./lease-memory.ts";

const board = fc.constantFrom("a", "b");
const place = fc.oneof(
  fc.record({ epoch: fc.nat(), verb: fc.constant("lease"), board }),
  fc.record({ epoch: fc.nat(), verb: fc.constant("settle"), board: fc.option(board) }),
);

void test("what was written is what is read", () => {
  fc.assert(
    fc.property(place, (place) =>
      assert.deepEqual({ ...parsePlace(placeLine(place), "there") }, { ...place }),
    ),
  );
});

void test("what nobody of us wrote is refused", () => {
  for (const text of [
    "",
    "1 lease none\n",
    "1 settle a",
    "-1 settle a\n",
    "1 settle c\n",
    "1 hold a\n",
    "x\n1 settle a\n",
  ])
    assert.throws(() => parsePlace(text, "there"), { code: "internal" });
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        assert.equal(
          placeLine(parsePlace(text, "there")).replace(/^0+(?=\d)/, ""),
          text.replace(/^0+(?=\d)/, ""),
        );
      } catch (error) {
        assert.equal((error as { code?: string }).code, "internal");
      }
    }),
  );
});
