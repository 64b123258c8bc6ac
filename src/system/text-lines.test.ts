import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LineCutter } from "./text-lines.ts";

/** Cuts `bytes` at the given places, as a socket may. */
function chunks(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b);
  return places.slice(1).map((place, i) => bytes.subarray(places[i], place));
}

test("lines come out whole, in order, wherever the stream is cut", () => {
  const line = fc.string({ unit: "grapheme", maxLength: 40 }).map((text) => text.replaceAll(/[\r\n]/g, ""));
  fc.assert(
    fc.property(fc.array(line), fc.array(fc.nat()), (lines, cuts) => {
      const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(""));
      const cutter = new LineCutter(4096);
      const got = chunks(bytes, cuts).flatMap((chunk) => cutter.push(chunk));
      assert.deepEqual(
        got,
        lines.map((text) => Buffer.from(text).toString()),
      );
    }),
  );
});

test("a line past the limit is lost alone, and is not kept in memory", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 64 }), fc.array(fc.nat()), (length, cuts) => {
      const bytes = Buffer.from(`before\n${"x".repeat(length)}\nafter\n`);
      const cutter = new LineCutter(16);
      const got = chunks(bytes, cuts).flatMap((chunk) => cutter.push(chunk));
      assert.deepEqual(got, ["before", length > 16 ? undefined : "x".repeat(length), "after"]);
    }),
  );
});
