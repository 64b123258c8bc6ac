/** Boards that have cards for themselves: the old one is silent before the new one starts, whatever goes wrong. */
import assert from "node:assert/strict";
import test from "node:test";
import { ended, type Serving, serving } from "../../fixtures/simulation/scenes.ts";

async function pastHost(...versions: string[]): Promise<Serving> {
  const made = await serving(...versions);
  made.host.service.pastHost = true;
  made.host.boards.presentHooks.add("activate").add("deactivate");
  return made;
}

/** What the boards did from now on, in order, with each change of the holder. */
function follow({ host }: Serving): () => string[] {
  const runs = host.boards.hookRuns.length;
  const seen: string[] = [];
  const { service } = host;
  const become = service.become.bind(service);
  service.become = (change) => {
    const { holder } = service;
    become(change);
    if (service.holder !== holder)
      seen.push(...host.boards.hookRuns.slice(runs + hooks()), `${service.holder} holds`);
  };
  const hooks = (): number => seen.filter((one) => !one.endsWith("holds")).length;
  return () => [...seen, ...host.boards.hookRuns.slice(runs + hooks())];
}

test("an upgrade: the old board is deactivated, the service moves, the new one is activated", async () => {
  const made = await pastHost("1", "2");
  const seen = follow(made);
  assert.equal((await made.host.upgrade(made.system, "3")).outcome, "committed");
  assert.deepEqual(seen(), ["b deactivate", "a holds", "a activate"]);
});

test("the service stays with a board that the host keeps apart itself: nobody is deactivated", async () => {
  const { host, system } = await serving("1", "2");
  assert.equal((await host.upgrade(system, "3")).outcome, "committed");
  assert.ok(!host.boards.hookRuns.some((run) => run.endsWith("deactivate")));
});

for (const why of ["has no such hook", "fails at it"] as const)
  test(`an old board that ${why} is paused before the service moves`, async () => {
    const made = await pastHost("1", "2");
    const { host, system } = made;
    if (why === "fails at it") host.boards.faults.set("2", { failingHook: "deactivate" });
    else host.boards.presentHooks.delete("deactivate");
    const states: (string | undefined)[] = [];
    const { service } = host;
    const become = service.become.bind(service);
    service.become = (change) => {
      if (change.holder === "a") states.push(host.boards.get("b")?.condition.state);
      become(change);
    };
    assert.equal((await host.upgrade(system, "3")).outcome, "committed");
    assert.deepEqual(states, ["dormant"]);
    assert.equal(await host.summary(system), "a: in service 3, b: dormant 2");
  });

test("the hand-over is refused: the old board, which was deactivated or paused, is activated again", async () => {
  for (const hook of [true, false]) {
    const made = await pastHost("1", "2");
    const { host, system } = made;
    if (!hook) host.boards.presentHooks.delete("deactivate");
    host.service.failing.add("handOver");
    const seen = follow(made);
    assert.equal((await host.upgrade(system, "3")).error?.code, "takeover-failed");
    assert.equal(seen().at(-1), "b activate");
    assert.match(await host.summary(system), /b: in service 2/);
  }
});

test("the new board fails in probation: it is deactivated before the service goes back, and the old one is activated", async () => {
  const made = await pastHost("1", "2");
  const { host, system } = made;
  host.offer("9");
  host.boards.faults.set("9", { failingHook: "activate" });
  const seen = follow(made);
  assert.equal((await host.upgrade(system, "9")).outcome, "rolled-back");
  assert.deepEqual(seen(), [
    "b deactivate",
    "a holds",
    "a activate",
    "a deactivate",
    "b holds",
    "b activate",
  ]);
});

test("failover: a board that hangs is paused at once, one that is unhealthy may deactivate itself, one that died is silent", async () => {
  for (const [fail, expected] of [
    [(made: Serving) => made.host.boards.hang("b"), []],
    [(made: Serving) => made.host.boards.die("b"), []],
    [(made: Serving) => made.host.health.setUnhealthy("b"), ["b deactivate"]],
  ] as const) {
    const made = await pastHost("1", "2");
    const seen = follow(made);
    fail(made);
    await ended(made);
    assert.equal(made.host.service.holder, "a");
    const before = seen().slice(0, seen().indexOf("a holds"));
    assert.deepEqual(before, expected);
  }
});
