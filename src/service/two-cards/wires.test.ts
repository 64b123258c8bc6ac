import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "../../system/clock.ts";
import type { Link } from "../../system/links.ts";
import { systemNames } from "../../system/names.ts";
import type { TwoCardsPlan } from "./plan.ts";
import { settleMs, Wires } from "./wires.ts";

const names = systemNames("test");
const plan: TwoCardsPlan = {
  names,
  uplinks: { a: "up0", b: "up1" },
  identity: { mac: "52:54:00:00:00:10" },
  gateways: {},
  lingerMs: 20,
  vlans: [],
  stateDirectory: "/nowhere",
};
const [bridgeA, bridgeB] = [names.card("a", "bridge"), names.card("b", "bridge")];

function link(name: string, more: Partial<Link> = {}): [string, Link] {
  const nothing = { kind: undefined, bridge: undefined, port: undefined, master: undefined };
  return [name, { name, mac: "", mtu: 1500, up: true, carrier: true, ...nothing, ...more }];
}

function portOf(bridge: string): Partial<Link> {
  return { port: { bridge, state: "forwarding", learning: false }, master: bridge };
}

/** Cards, and a clock that goes on only when it is told to. */
function host() {
  const cut = { a: false, b: false };
  let now = 0;
  let heard = (): void => undefined;
  const sleepers: { readonly at: number; readonly wake: () => void }[] = [];
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    sleep: (ms) => new Promise((resolve) => sleepers.push({ at: now + ms, wake: resolve })),
  };
  const turns = async (): Promise<void> => {
    for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
  };
  const settings = { vlanFiltering: false, callsIpRules: false };
  const read = (): Promise<ReadonlyMap<string, Link>> =>
    Promise.resolve(
      new Map([
        link(bridgeA, { kind: "bridge", bridge: settings }),
        link(bridgeB, { kind: "bridge", bridge: settings }),
        link("up0", { ...portOf(bridgeA), carrier: !cut.a }),
        link("up1", { ...portOf(bridgeB), carrier: !cut.b }),
        link(names.card("a", "service"), portOf(bridgeA)),
      ]),
    );
  const watch = (onChange: () => void): { end(): void } => {
    heard = onChange;
    return { end: () => (heard = () => undefined) };
  };
  return {
    source: { read, watch, clock },
    async pass(ms: number): Promise<void> {
      now += ms;
      for (const sleeper of sleepers.splice(0)) {
        if (sleeper.at <= now) sleeper.wake();
        else sleepers.push(sleeper);
      }
      await turns();
    },
    async set(board: "a" | "b", isCut: boolean): Promise<void> {
      cut[board] = isCut;
      heard();
      await turns();
    },
  };
}

test("a wire that is cut is told once it was cut for long enough, and so is one that is whole again", async () => {
  const { source, set, pass } = host();
  const wires = new Wires(plan, source);
  const told: (string | null)[] = [];
  wires.watch("a", (obstacle) => told.push(obstacle));
  await pass(0);
  await pass(100);
  await set("a", true);
  assert.deepEqual([told, await wires.obstacle("a")], [[], null]);
  await pass(settleMs - 1);
  assert.deepEqual(told, []);
  await pass(1);
  assert.deepEqual([told, await wires.obstacle("a")], [["up0 has no carrier"], "up0 has no carrier"]);
  assert.equal(await wires.obstacle("b"), null);
  await pass(100);
  await set("a", false);
  await pass(settleMs);
  assert.deepEqual([told, await wires.obstacle("a")], [["up0 has no carrier", null], null]);
});

test("a link that is gone for some milliseconds is told to nobody, however often", async () => {
  const { source, set, pass } = host();
  const wires = new Wires(plan, source);
  const told: (string | null)[] = [];
  wires.watch("a", (obstacle) => told.push(obstacle));
  await pass(0);
  for (let flap = 0; flap < 20; flap += 1) {
    await pass(25);
    await set("a", true);
    await pass(25);
    await set("a", false);
  }
  await pass(settleMs);
  assert.deepEqual(told, []);
});

test("what is cut already when the watch begins is told at once", async () => {
  const { source, set, pass } = host();
  await set("b", true);
  const wires = new Wires(plan, source);
  assert.equal(await wires.obstacle("b"), "up1 has no carrier");
  const told: (string | null)[] = [];
  wires.watch("b", (obstacle) => told.push(obstacle));
  assert.deepEqual(told, ["up1 has no carrier"]);
  await pass(0);
});

test("nothing is told after the end of a listener, or of the watch", async () => {
  const { source, set, pass } = host();
  const wires = new Wires(plan, source);
  const told: (string | null)[] = [];
  const end = wires.watch("a", (obstacle) => told.push(obstacle));
  wires.watch("b", (obstacle) => told.push(obstacle));
  await pass(0);
  await pass(100);
  end();
  await set("a", true);
  await pass(settleMs);
  wires.end();
  await set("b", true);
  await pass(settleMs);
  assert.deepEqual(told, []);
});
