import assert from "node:assert/strict";
import { mock, test } from "node:test";
import type { StoryEvent } from "../upgrade/story-events.ts";
import { eventStream } from "./event-stream.ts";
import type { ServedSystem } from "./served-system.ts";

const heartbeatMs = 10_000;

/** Only its events are asked for. */
function systemOf(events: () => AsyncIterator<StoryEvent>): ServedSystem {
  return { events: () => ({ [Symbol.asyncIterator]: events }) } as unknown as ServedSystem;
}

test("a client that watches while nothing happens leaves nothing behind with each heartbeat", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const awaited = Promise.withResolvers<IteratorResult<StoryEvent>>();
  const then = mock.method(awaited.promise, "then");
  const system = systemOf(() => ({ next: () => awaited.promise }));
  const stream = eventStream(system, 0, new AbortController().signal);
  assert.match((await stream.next()).value ?? "", /^:/);
  for (let beat = 0; beat < 50; beat += 1) {
    const next = stream.next();
    await new Promise(setImmediate);
    t.mock.timers.tick(heartbeatMs);
    assert.match((await next).value ?? "", /^:/);
  }
  const listeners = then.mock.callCount();
  assert.ok(listeners <= 2, `${listeners} listeners on one event`);
  const last = stream.next();
  awaited.resolve({ done: true, value: undefined });
  assert.equal((await last).done, true);
});

test("what happens between two heartbeats is told at once, and a source that fails ends the stream with its error", async () => {
  const progress = { story: "000001-upgrade", phase: "install" } as const;
  const results = [Promise.resolve({ done: false, value: { progress } }), Promise.reject(new Error("lost"))];
  const system = systemOf(() => ({ next: () => results.shift() as Promise<IteratorResult<StoryEvent>> }));
  const stream = eventStream(system, 0, new AbortController().signal);
  await stream.next();
  assert.equal((await stream.next()).value, `event: progress\ndata: ${JSON.stringify(progress)}\n\n`);
  await assert.rejects(stream.next(), /lost/);
});
