import assert from "node:assert/strict";
import { test } from "node:test";
import { asTwinboardError, TwinboardError } from "./errors.ts";
import { lacking } from "./system/finding.ts";

test("a full disk is no defect of ours, whoever was writing", () => {
  for (const code of ["ENOSPC", "EDQUOT"]) {
    const cause = Object.assign(new Error(`${code}: no space left on device, write`), { code });
    const error = asTwinboardError(cause);
    assert.equal(error.code, "too-little-disk");
    assert.equal(error.kind, "rejected");
    assert.equal(error.cause, cause);
  }
});

test("what is ours stays what it is, and the rest is a defect", () => {
  const ours = new TwinboardError("busy");
  assert.equal(asTwinboardError(ours), ours);
  for (const other of [new Error("x"), Object.assign(new Error("x"), { code: "EIO" }), "x", null, undefined])
    assert.equal(asTwinboardError(other).code, "internal");
});

test("what is to be done is the code's own remedy, unless a better one is known", () => {
  assert.match(new TwinboardError("missing-kernel-feature").remedy, /load the module/);
  const finding = lacking("/mnt", "missing-kernel-feature", "no overlay", "modprobe overlay");
  // The daemon refuses to start with the same words that `check` has.
  assert.deepEqual([finding.remedy, finding.error?.remedy], ["modprobe overlay", "modprobe overlay"]);
});
