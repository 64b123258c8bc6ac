import assert from "node:assert/strict";
import { test } from "node:test";
import { assert as forAll, nat, property } from "fast-check";
import { parseDurationMs, parseSizeBytes } from "./units.ts";

test("durations and sizes with their units", () => {
  const durations = { "200ms": 200, "30s": 30_000, "2m": 120_000, "1h": 3_600_000, "1.5s": 1500, "0s": 0 };
  for (const [text, ms] of Object.entries(durations)) assert.equal(parseDurationMs(text), ms, text);
  const sizes = { "512B": 512, "64KiB": 65_536, "256MiB": 268_435_456, "1.5GiB": 1_610_612_736 };
  for (const [text, bytes] of Object.entries(sizes)) assert.equal(parseSizeBytes(text), bytes, text);
});

test("what has no unit, another unit, a sign or a fraction of the smallest unit is none", () => {
  for (const text of [
    "",
    "30",
    "s",
    "-1s",
    "+1s",
    "1e3s",
    "30 sec",
    "30S",
    "0.5ms",
    " 1s",
    "1s ",
    "1s1s",
    "constructor",
  ])
    assert.equal(parseDurationMs(text), undefined, text);
  for (const text of ["256", "256MB", "256m", "0.5B", "1 TiB", "99999999999999GiB"])
    assert.equal(parseSizeBytes(text), undefined, text);
});

test("every whole number of a unit is read back", () => {
  forAll(property(nat(), (n) => parseDurationMs(`${n}ms`) === n && parseSizeBytes(`${n}KiB`) === n * 1024));
});
