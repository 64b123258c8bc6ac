/** The board that does not hold is kept dormant, or off, between stories, whoever let it go on, and whether failover is switched on or not. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { TwinboardError } from "../../../src/errors.ts";
import type { Settings } from "../../../src/upgrade/scene.ts";
import { ended, type Serving, serving } from "../../fixtures/simulation/scenes.ts";

/** Version 2 serves on board b; from here on as a daemon that read these settings. */
async function servingWith(settings: Partial<Settings>): Promise<Serving> {
  const { host, system } = await serving("1", "2");
  await host.clock.runUntil(system.close());
  host.settings = { ...host.settings, ...settings };
  const next = host.daemon();
  await host.settle(next);
  return { host, system: next };
}

/** Time in which it is looked more than once what the boards do. */
async function looked({ host, system }: Serving): Promise<void> {
  await host.clock.runUntil(host.clock.sleep(5000));
  await ended({ host, system });
}

function codes({ host }: Serving): string[] {
  return host.troubles.map((error) => (error instanceof TwinboardError ? error.code : String(error)));
}

function letGoOn({ host }: Serving): void {
  const board = host.boards.get("a");
  assert.ok(board !== undefined);
  board.condition = { ...board.condition, state: "running" };
}

for (const failover of [true, false]) {
  const where = `failover: ${failover}`;

  test(`a dormant board that somebody else wakes is laid to sleep again, each time, and that is told; ${where}`, async () => {
    const scene = await servingWith({ failover });
    for (const times of [1, 2, 3]) {
      letGoOn(scene);
      await looked(scene);
      assert.equal(await scene.host.summary(scene.system), "a: dormant 1, b: in service 2");
      const told = Array.from({ length: times }, () => "board-woken");
      assert.deepEqual(codes(scene), told);
    }
  });

  test(`one that cannot be laid to sleep is left alone until another story has ended; ${where}`, async () => {
    const scene = await servingWith({ failover });
    const { host, system } = scene;
    host.boards.failing.add("a.pause");
    letGoOn(scene);
    await looked(scene);
    host.boards.failing.clear();
    await looked(scene);
    assert.equal(await host.summary(system), "a: standby 1, b: in service 2");
    assert.deepEqual(codes(scene), ["board-woken"]);
    assert.equal((await host.upgrade(system, "1")).outcome, "rejected");
    assert.equal(await host.summary(system), "a: dormant 1, b: in service 2");
  });

  test(`where a board is to be off, one that runs or sleeps all the same is stopped; ${where}`, async () => {
    const scene = await servingWith({ failover, dormancy: "off" });
    const { host, system } = scene;
    for (const state of ["running", "dormant"] as const) {
      assert.equal(await host.summary(system), "a: off 1, b: in service 2");
      const start = { instance: randomUUID(), version: "1", images: {}, kernelArguments: "" };
      host.boards.run("a", start);
      const board = host.boards.get("a");
      assert.ok(board !== undefined);
      board.condition = { ...board.condition, state };
      await looked(scene);
      assert.equal(await host.summary(system), "a: off 1, b: in service 2", state);
      assert.deepEqual(codes(scene), []);
    }
  });
}

test("a board that is awake while nobody serves is left to what brings the service back", async () => {
  const scene = await servingWith({ failover: false });
  const { host, system } = scene;
  host.boards.die("b");
  letGoOn(scene);
  await looked(scene);
  assert.equal(await host.summary(system), "a: standby 1, b: dead 2");
});
