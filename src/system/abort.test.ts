import assert from "node:assert/strict";
import { test } from "node:test";
import { orAborted } from "./abort.ts";

const never = new Promise<never>(() => undefined);

test("settles as the promise does, and lets go of the signal", async () => {
  const { signal } = new AbortController();
  assert.equal(await orAborted(Promise.resolve(1), signal), 1);
  const error = new Error("failed");
  await assert.rejects(orAborted(Promise.reject(error), signal), error);
});

test("rejects with the signal's reason, before or while it waits", async () => {
  const reason = new Error("enough");
  await assert.rejects(orAborted(never, AbortSignal.abort(reason)), reason);
  const abort = new AbortController();
  const waiting = orAborted(never, abort.signal);
  abort.abort(reason);
  await assert.rejects(waiting, reason);
});

test("what fails after nobody waits for it any more is nobody's error", async () => {
  const late = Promise.withResolvers<void>();
  await assert.rejects(orAborted(late.promise, AbortSignal.abort(new Error("enough"))));
  late.reject(new Error("late"));
  await new Promise((resolve) => setImmediate(resolve));
});
