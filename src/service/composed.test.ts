import assert from "node:assert/strict";
import { test } from "node:test";
import type { BoardName } from "../board/board.ts";
import { ComposedService } from "./composed.ts";
import { SimulatedService, SimulatedServiceWorld } from "./simulated.ts";
import { SimulatedLeased, SimulatedLeasedWorld } from "./simulated-leased.ts";

const signal = AbortSignal.timeout(20_000);

class Composition {
  readonly network = new SimulatedServiceWorld();
  readonly line = new SimulatedLeasedWorld();
  readonly disk = new SimulatedLeasedWorld();
  readonly service: ComposedService;

  private constructor() {
    this.service = this.daemon();
  }

  /** Board `a` holds everything. */
  static async serving(): Promise<Composition> {
    const made = new Composition();
    await made.service.setUp(signal);
    await made.service.prepare("a", signal);
    await made.service.handOver("a", signal);
    return made;
  }

  daemon(): ComposedService {
    return new ComposedService(new SimulatedService(this.network), [
      new SimulatedLeased("line", this.line),
      new SimulatedLeased("disk", this.disk),
    ]);
  }

  /** Of network, line and disk. */
  holders(): (BoardName | null)[] {
    return [this.network.holder, this.line.condition.holder, this.disk.condition.holder];
  }
}

test("one takeover moves everything, and what waited meanwhile reaches the new board", async () => {
  const { service, line, ...made } = await Composition.serving();
  line.say("to a");
  await service.prepare("b", signal);
  await service.handOver("b", signal);
  line.say("to b");
  assert.deepEqual([made.network.holder, line.condition.holder, made.disk.condition.holder], ["b", "b", "b"]);
  assert.deepEqual([line.heard.a, line.heard.b], [["to a"], ["to b"]]);
  assert.deepEqual(await service.troubles(), []);
});

for (const part of ["line", "disk"] as const)
  test(`the ${part} cannot be leased: everything stays with the old board, and is given back`, async () => {
    const made = await Composition.serving();
    made[part].failing.add("lease");
    await made.service.prepare("b", signal);
    await assert.rejects(made.service.handOver("b", signal), {
      code: "takeover-failed",
      message: new RegExp(part),
    });
    assert.deepEqual(made.holders(), ["a", "a", "a"]);
    assert.equal(made.line.condition.leasedTo, null);
    assert.equal(made.disk.condition.leasedTo, null);
  });

test("the network's transaction fails: what was leased is given back to the old board", async () => {
  const made = await Composition.serving();
  made.network.failing.add("handOver");
  await made.service.prepare("b", signal);
  await assert.rejects(made.service.handOver("b", signal), { code: "takeover-failed" });
  assert.deepEqual(made.holders(), ["a", "a", "a"]);
});

test("one that cannot be settled is an error after the commit point: the way back moves all of it", async () => {
  const made = await Composition.serving();
  made.disk.failing.add("settle");
  await made.service.prepare("b", signal);
  await assert.rejects(made.service.handOver("b", signal), { code: "takeover-failed", message: /disk/ });
  assert.deepEqual(made.holders(), ["b", "b", null]);
  assert.deepEqual(await made.service.troubles(), [
    { service: "disk", what: "it waits for board b to take over", mendable: true },
  ]);
  await made.service.prepare("a", signal);
  await made.service.handOver("a", signal, { partly: true });
  assert.deepEqual(made.holders(), ["a", "a", null], "what cannot follow stops nobody on the way back");
  made.disk.failing.clear();
  await made.service.mend(signal);
  assert.deepEqual(made.holders(), ["a", "a", "a"]);
  assert.deepEqual(await made.service.troubles(), []);
});

test("where nobody serves what can follow does, and the rest is a trouble", async () => {
  const made = await Composition.serving();
  made.line.failing.add("lease").add("settle");
  await made.service.prepare("b", signal);
  await made.service.handOver("b", signal, { partly: true });
  assert.deepEqual(made.holders(), ["b", "a", "b"]);
  const [trouble] = await made.service.troubles();
  assert.deepEqual(trouble, {
    service: "line",
    what: "it is board a's, and board b is in service",
    mendable: true,
  });
  made.line.failing.clear();
  await made.service.drain("a", { sinceMs: 0, atOnce: true }, signal);
  await made.service.fence("a");
  assert.deepEqual(made.holders(), ["b", "b", "b"], "the fence leaves nothing behind it");
});

test("a daemon that was killed between lease and transaction, or after it: the next one makes all follow the network", async () => {
  for (const when of ["failing", "failingAfter"] as const) {
    const made = await Composition.serving();
    const { epoch } = await made.service.inspect();
    await new SimulatedLeased("line", made.line).lease("b", epoch, signal);
    made.network[when].add("handOver");
    const dead = new SimulatedService(made.network);
    await assert.rejects(dead.handOver("b", signal));
    made.network[when].clear();
    const next = made.daemon();
    await next.setUp(signal);
    const holder = when === "failing" ? "a" : "b";
    assert.deepEqual(made.holders(), [holder, holder, holder]);
  }
});

test("a takeover that has taken place is finished by asking for it again", async () => {
  const made = await Composition.serving();
  await new SimulatedService(made.network).handOver("b", signal);
  assert.deepEqual(made.holders(), ["b", "a", "a"]);
  assert.deepEqual(await made.service.handOver("b", signal), { ms: 0 });
  assert.deepEqual(made.holders(), ["b", "b", "b"]);
});

test("the network's rules were taken away: its epoch begins anew, above what is remembered elsewhere", async () => {
  const made = await Composition.serving();
  for (const board of ["b", "a", "b"] as const) await made.service.handOver(board, signal);
  const { epoch } = made.line.condition;
  made.network.reboot();
  const next = made.daemon();
  await next.setUp(signal);
  assert.ok((await next.inspect()).epoch > epoch);
  await next.handOver("a", signal);
  assert.deepEqual(made.holders(), ["a", "a", "a"]);
});

test("what carried a service was killed: it is set up again and given to the holder, before a takeover too", async () => {
  const made = await Composition.serving();
  made.line.reboot();
  assert.equal((await made.service.troubles())[0]?.mendable, true);
  await made.service.mend(signal);
  assert.deepEqual(made.holders(), ["a", "a", "a"]);
  made.disk.reboot();
  await made.service.prepare("b", signal);
  await made.service.handOver("b", signal);
  assert.deepEqual(made.holders(), ["b", "b", "b"]);
});

test("a thing that is gone is a trouble and stops no takeover", async () => {
  const made = await Composition.serving();
  made.line.trouble("the line was pulled");
  await made.service.prepare("b", signal);
  await made.service.handOver("b", signal);
  assert.deepEqual(made.holders(), ["b", "b", "b"]);
  assert.deepEqual(await made.service.troubles(), [
    { service: "line", what: "the line was pulled", mendable: false },
  ]);
});

test("a drain counts what each service had to finish, and is told only once the network has told its part", async () => {
  const made = await Composition.serving();
  made.network.begin(2);
  made.line.begun.a = 3;
  await made.service.handOver("b", signal);
  const seen: number[] = [];
  const onProgress = ({ left }: { left: number }): void => void seen.push(left);
  const drained = await made.service.drain("a", { sinceMs: 0, atOnce: true, onProgress }, signal);
  assert.equal(seen[0], 2);
  assert.equal(drained.cut, 5);
  assert.deepEqual(Object.keys(drained.services), ["simulated", "line"]);
});

test("one that cannot be set up keeps nobody from serving, and follows once it can", async () => {
  const made = await Composition.serving();
  await made.service.tearDown(signal);
  made.line.failing.add("setUp").add("attach");
  const next = made.daemon();
  await next.setUp(signal);
  await next.attach("a", signal);
  await next.prepare("a", signal);
  await next.handOver("a", signal, { partly: true });
  assert.deepEqual(made.holders(), ["a", null, "a"]);
  assert.deepEqual(
    (await next.troubles()).map(({ service }) => service),
    ["line"],
  );
  await assert.rejects(
    next.attach("b", signal),
    { code: "command-failed" },
    "while somebody serves it counts",
  );
  made.line.failing.clear();
  await next.mend(signal);
  assert.deepEqual(made.holders(), ["a", "a", "a"]);
});

test("one that cannot be mended keeps none of the others from it", async () => {
  const made = await Composition.serving();
  made.line.reboot();
  made.disk.reboot();
  made.line.failing.add("setUp");
  await assert.rejects(made.service.mend(signal), { code: "command-failed" });
  assert.deepEqual(made.holders(), ["a", null, "a"]);
});

for (const call of ["lease", "inspect"] as const)
  test(`one whose ${call} hangs does not keep the network from whoever can serve`, async () => {
    const made = await Composition.serving();
    made.line.hanging.add(call);
    const began = performance.now();
    await made.service.prepare("b", signal, { partly: true });
    await made.service.handOver("b", signal, { partly: true });
    assert.equal(made.network.holder, "b");
    assert.ok(performance.now() - began < 10_000, "far less than a program may take");
    made.line.hanging.clear();
    await made.service.mend(signal);
    assert.deepEqual(made.holders(), ["b", "b", "b"]);
  });

test("one that cannot be fenced leaves none of the others open", async () => {
  const made = await Composition.serving();
  await made.service.handOver("b", signal);
  made.line.failing.add("fence");
  made.disk.become({ holder: "a" });
  await assert.rejects(made.service.fence("a"), { code: "command-failed" });
  assert.deepEqual(made.holders(), ["b", "b", "b"]);
});

test("one that cannot be torn down keeps none of the others", async () => {
  const made = await Composition.serving();
  made.line.failing.add("tearDown");
  await assert.rejects(made.service.tearDown(signal), { code: "command-failed" });
  assert.equal(made.network.condition.present, false);
  assert.equal(made.disk.condition.present, false);
  made.line.failing.clear();
  await made.service.tearDown(signal);
  assert.equal(made.line.condition.present, false);
});

test("nobody's service stays nobody's", async () => {
  const made = await Composition.serving();
  await made.service.tearDown(signal);
  await made.service.setUp(signal);
  assert.deepEqual(made.holders(), [null, null, null]);
  assert.deepEqual(await made.service.troubles(), []);
});
