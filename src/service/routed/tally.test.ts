import assert from "node:assert/strict";
import { test } from "node:test";
import type { ServiceFlow } from "./flows.ts";
import { Tally } from "./tally.ts";

const web = {
  name: "web",
  protocol: "tcp",
  address: "198.51.100.10",
  port: 80,
  drainMs: 1,
  quietMs: 1,
} as const;
const mqtt = { ...web, name: "mqtt", port: 1883 } as const;
const seen: Partial<ServiceFlow> = {
  state: "ESTABLISHED",
  service: web,
  over: false,
  closed: false,
  early: false,
};

function flow(id: number, changes: Partial<ServiceFlow> = {}): ServiceFlow {
  return { ...seen, ...changes, id } as ServiceFlow;
}

test("what became of each flow is told from how it was last seen, by service", () => {
  const tally = new Tally([web, mqtt]);
  tally.note([flow(1), flow(2), flow(3), flow(4, { service: mqtt }), flow(5, { service: mqtt })]);
  assert.equal(tally.progress().left, 5);
  // 1 is gone, 2 was closed early, 3 is being closed, 4 was cut, 5 is over by itself
  tally.note([
    flow(3, { closed: true, early: true }),
    flow(5, { service: mqtt, state: "TIME_WAIT", over: true }),
  ]);
  tally.noteClosed([
    flow(2, { closed: true, early: true, over: true }),
    flow(4, { closed: true, service: mqtt }),
  ]);
  assert.deepEqual(tally.progress(), {
    left: 1,
    finished: 2,
    closedEarly: 1,
    cut: 1,
    services: {
      web: { left: 1, finished: 1, closedEarly: 1, cut: 0 },
      mqtt: { left: 0, finished: 1, closedEarly: 0, cut: 1 },
    },
  });
});

test("what was given up at its deadline is cut, unless it had ended or was closed early", () => {
  const tally = new Tally([web]);
  tally.note([flow(1), flow(2), flow(3)]);
  tally.note([]);
  tally.noteClosed([flow(2, { closed: true, early: true })]);
  tally.noteCut([flow(1), flow(2, { closed: true, early: true }), flow(3, { over: true })]);
  const { finished, closedEarly, cut } = tally.progress();
  assert.deepEqual({ finished, closedEarly, cut }, { finished: 1, closedEarly: 1, cut: 1 });
});

test("neither a handshake nor what was over before counts", () => {
  const tally = new Tally([web]);
  tally.note([flow(1, { state: "SYN_SENT" }), flow(2, { over: true, closed: true, early: true })]);
  const { left, finished, closedEarly, cut } = tally.progress();
  assert.deepEqual({ left, finished, closedEarly, cut }, { left: 0, finished: 0, closedEarly: 0, cut: 0 });
});
