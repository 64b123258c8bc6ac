import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedHost } from "../../test/fixtures/simulation/simulated-system.ts";

test("a sender is let go of when its story ends, whether anybody read the bundle or not", async () => {
  const host = new SimulatedHost();
  const system = host.daemon();
  await host.settle(system);
  let letGo = 0;
  const iterator = {
    next: () => Promise.reject<IteratorResult<Uint8Array>>(new Error("this delivery reads nothing")),
    return: () => {
      letGo += 1;
      return Promise.resolve({ done: true as const, value: undefined });
    },
  };
  const stream = { [Symbol.asyncIterator]: () => iterator };
  const { id } = await host.clock.runUntil(system.upgrade({ kind: "stream", stream }, { force: false }));
  await host.clock.runUntil(system.idle());
  assert.equal((await system.result(id))?.outcome, "rejected");
  assert.equal(letGo, 1);
});
