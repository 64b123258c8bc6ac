import assert from "node:assert/strict";
import { test } from "node:test";
import type { Flow } from "../../system/conntrack.ts";
import { Stillness } from "./stillness.ts";

const flow: Flow = {
  id: 1,
  state: "ESTABLISHED",
  source: "198.51.100.1",
  sourcePort: 40_000,
  destination: "198.51.100.10",
  destinationPort: 80,
  answeredBy: "10.231.0.2",
  answeredPort: 80,
  answeredTo: "198.51.100.1",
  answeredToPort: 40_000,
  packets: 10,
  bytes: 1000,
  mark: 0,
};

function stillAfter(packets: number, bytes: number): number {
  const stillness = new Stillness();
  stillness.note([flow], 0);
  stillness.note([{ ...flow, packets: flow.packets + packets, bytes: flow.bytes + bytes }], 1000);
  return stillness.stillMs(flow, 1500);
}

test("a flow is still from the look on which found it so", () => {
  assert.equal(stillAfter(0, 0), 1500);
  assert.equal(stillAfter(2, 2 * 52 + 1), 500, "one byte of data");
  assert.equal(stillAfter(1, 1500), 500);
});

test("segments that only keep the connection alive are no request", () => {
  assert.equal(stillAfter(2, 2 * 52), 1500, "with timestamps");
  assert.equal(stillAfter(2, 2 * 40), 1500, "without");
});

test("a flow that nobody has seen has not been still", () => {
  assert.equal(new Stillness().stillMs(flow, 5000), 0);
});
