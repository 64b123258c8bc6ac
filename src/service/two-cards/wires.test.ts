import assert from "node:assert/strict";
import { test } from "node:test";
import type { Link } from "../../system/links.ts";
import { systemNames } from "../../system/names.ts";
import type { TwoCardsPlan } from "./plan.ts";
import { settleMs, type WireSource, Wires } from "./wires.ts";

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

const settings = { vlanFiltering: false, callsIpRules: false };

async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
}

/** Cards, and a clock that goes on only when it is told to. */
class Host {
  readonly #cut = { a: false, b: false };
  readonly #sleepers = new Set<{ readonly at: number; readonly wake: () => void }>();
  readonly #heard = new Set<() => void>();
  #now = 0;

  readonly source: WireSource = {
    read: () =>
      Promise.resolve(
        new Map([
          link(bridgeA, { kind: "bridge", bridge: settings }),
          link(bridgeB, { kind: "bridge", bridge: settings }),
          link("up0", { ...portOf(bridgeA), carrier: !this.#cut.a }),
          link("up1", { ...portOf(bridgeB), carrier: !this.#cut.b }),
          link(names.card("a", "service"), portOf(bridgeA)),
        ]),
      ),
    watch: (onChange) => {
      this.#heard.add(onChange);
      return { end: () => this.#heard.delete(onChange) };
    },
    clock: {
      now: () => this.#now,
      monotonic: () => this.#now,
      sleep: (ms) => new Promise((wake) => this.#sleepers.add({ at: this.#now + ms, wake })),
    },
  };

  async pass(ms: number): Promise<void> {
    this.#now += ms;
    for (const sleeper of this.#sleepers) {
      if (sleeper.at > this.#now) continue;
      this.#sleepers.delete(sleeper);
      sleeper.wake();
    }
    await turns();
  }

  async set(board: "a" | "b", isCut: boolean): Promise<void> {
    this.#cut[board] = isCut;
    for (const heard of this.#heard) heard();
    await turns();
  }
}

test("a wire that is cut is told once it was cut for long enough, and so is one that is whole again", async () => {
  const host = new Host();
  const wires = new Wires(plan, host.source);
  const told: (string | null)[] = [];
  wires.watch("a", (obstacle) => told.push(obstacle));
  await host.pass(0);
  await host.pass(100);
  await host.set("a", true);
  assert.deepEqual([told, await wires.obstacle("a")], [[], null]);
  await host.pass(settleMs - 1);
  assert.deepEqual(told, []);
  await host.pass(1);
  assert.deepEqual([told, await wires.obstacle("a")], [["up0 has no carrier"], "up0 has no carrier"]);
  assert.equal(await wires.obstacle("b"), null);
  await host.pass(100);
  await host.set("a", false);
  await host.pass(settleMs);
  assert.deepEqual([told, await wires.obstacle("a")], [["up0 has no carrier", null], null]);
});

test("a link that is gone for some milliseconds is told to nobody, however often", async () => {
  const host = new Host();
  const wires = new Wires(plan, host.source);
  const told: (string | null)[] = [];
  wires.watch("a", (obstacle) => told.push(obstacle));
  await host.pass(0);
  for (let flap = 0; flap < 20; flap += 1) {
    await host.pass(25);
    await host.set("a", true);
    await host.pass(25);
    await host.set("a", false);
  }
  await host.pass(settleMs);
  assert.deepEqual(told, []);
});

test("what is cut already when the watch begins is told at once", async () => {
  const host = new Host();
  await host.set("b", true);
  const wires = new Wires(plan, host.source);
  assert.equal(await wires.obstacle("b"), "up1 has no carrier");
  const told: (string | null)[] = [];
  wires.watch("b", (obstacle) => told.push(obstacle));
  assert.deepEqual(told, ["up1 has no carrier"]);
  await host.pass(0);
});

test("nothing is told after the end of a listener, or of the watch", async () => {
  const host = new Host();
  const wires = new Wires(plan, host.source);
  const told: (string | null)[] = [];
  const end = wires.watch("a", (obstacle) => told.push(obstacle));
  wires.watch("b", (obstacle) => told.push(obstacle));
  await host.pass(0);
  await host.pass(100);
  end();
  await host.set("a", true);
  await host.pass(settleMs);
  wires.end();
  await host.set("b", true);
  await host.pass(settleMs);
  assert.deepEqual(told, []);
});
