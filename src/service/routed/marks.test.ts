import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { marksIn } from "./marks.ts";

const mask = fc
  .uniqueArray(fc.integer({ min: 0, max: 31 }), { minLength: 13, maxLength: 32 })
  .map((bits) => bits.reduce((all, bit) => (all | (1 << bit)) >>> 0, 0));

function bitsOf(value: number): number {
  return (value >>> 0).toString(2).replaceAll("0", "").length;
}

test("marks are packed into the bits of the mask, whichever they are, and no two share one", () => {
  fc.assert(
    fc.property(mask, (mask) => {
      const marks = marksIn(mask);
      const flags = [
        marks.requestBit,
        marks.unheardBit,
        marks.closedBit,
        marks.earlyBit,
        marks.clientToldBit,
        marks.boardToldBit,
        marks.clientGoneBit,
        marks.outgoingBit,
      ];
      const parts = [...flags, marks.youngMask, marks.boardMask, marks.serviceMask];
      assert.equal(
        parts.reduce((all, part) => (all | part) >>> 0, 0),
        mask,
      );
      assert.equal(
        parts.reduce((sum, part) => sum + bitsOf(part), 0),
        bitsOf(mask),
      );
      assert.equal(new Set([0, ...marks.youngMarks]).size, 4);
      assert.ok(marks.youngMarks.every((mark) => (mark & ~marks.youngMask) === 0));
      assert.equal((marks.boardMark.a | marks.boardMark.b) >>> 0, marks.boardMask);
      assert.equal(marks.boardMark.a & marks.boardMark.b, 0);
    }),
  );
});

test("every service has a number of its own, and none has nought", () => {
  fc.assert(
    fc.property(mask, (mask) => {
      const { serviceMark, serviceMask } = marksIn(mask);
      const services = Math.min(255, 2 ** bitsOf(serviceMask) - 1);
      const numbers = Array.from({ length: services }, (_, index) => serviceMark(index));
      assert.equal(new Set(numbers).size, services);
      for (const number of numbers) {
        assert.notEqual(number, 0);
        assert.equal((number & serviceMask) >>> 0, number);
      }
    }),
  );
});
