/** What `status` and the event stream tell while a story is under way. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { PhaseName } from "../../../src/upgrade/record.ts";
import { ended, reach, type Serving, serving, toVersion, turns } from "../../fixtures/simulation/scenes.ts";

/** How an upgrade over a dormant board is held in each phase, and what both boards do then. */
const pictures: readonly (readonly [PhaseName, (serving: Serving) => void, string])[] = [
  ["deliver", ({ host }) => void (host.delivery.hangs = true), "a: dormant 1, b: in service 2"],
  ["vacate", ({ host }) => void host.boards.hanging.add("a.stop"), "a: dormant 1, b: in service 2"],
  [
    "install",
    ({ host }) => void (host.slots.a.fault = { kind: "hang", atByte: 1 }),
    "a: off -, b: in service 2",
  ],
  ["boot", ({ host }) => void host.boards.hanging.add("a.start"), "a: off 3, b: in service 2"],
  ["verify", ({ host }) => void host.boards.hanging.add("a.ready"), "a: booting 3, b: in service 2"],
  ["takeover", ({ host }) => void host.service.hanging.add("prepare"), "a: standby 3, b: in service 2"],
  ["probation", ({ host }) => host.service.begin(), "a: in service 3, b: draining 2"],
  ["commit", ({ host }) => void host.boards.hanging.add("b.pause"), "a: in service 3, b: standby 2"],
];

for (const [phase, hold, picture] of pictures) {
  test(`both boards in ${phase}; and the daemon stops there, and the next one goes on`, async () => {
    const { host, system } = await serving("1", "2");
    hold({ host, system });
    const id = await reach(host, phase, toVersion(system, "3"));
    assert.equal(await host.summary(system), picture);
    const { story, stuck } = await system.status();
    assert.equal(story?.phase, phase);
    assert.equal(story.id, id);
    assert.equal(stuck, null);
    assert.equal(await system.result(id), undefined);

    const changes = host.service.changes.length;
    await system.close();
    const last = host.records.at(-1);
    assert.equal(host.service.changes.length, changes, "stopping the daemon moves nothing");
    assert.notEqual(last?.event, "story-ended");
    await assert.rejects(system.rollback(), { code: "busy" });

    host.delivery.hangs = false;
    host.boards.hanging.clear();
    host.service.hanging.clear();
    host.slots.a.fault = undefined;
    host.service.finish("b");
    const next = host.daemon();
    await host.settle(next);
    assert.equal((await next.result(id))?.outcome, "committed");
    assert.equal(await host.summary(next), "a: in service 3, b: dormant 2");
    assert.equal(host.service.lost + host.service.cut, 0);
  });
}

test("while a first installation proves itself there is no board to go back to, and status says so", async () => {
  const { host, system } = await serving();
  await reach(host, "probation", toVersion(system, "1"));
  const { failover, holder } = await system.status();
  assert.equal(holder, "a");
  assert.deepEqual(failover, { ready: false, reason: "slot b is empty" });
});

test("while a failover proves itself there is no board to go back to, and status says so", async () => {
  const { host, system } = await serving("1", "2");
  host.service.hanging.add("drain");
  await reach(host, "probation", () => {
    host.boards.die("b");
    return Promise.resolve({ id: "failover" });
  });
  assert.deepEqual((await system.status()).failover, { ready: false, reason: "board b is dead" });
});

test("probation that was served before the daemon stopped counts", async () => {
  const { host, system } = await serving("1");
  const began = host.clock.now();
  void host.clock.sleep(6000).then(() => system.close());
  await host.upgrade(system, "2").catch(() => undefined);
  const next = host.daemon();
  await host.settle(next);
  assert.equal(await host.summary(next), "a: dormant 1, b: in service 2");
  const spentMs = host.clock.now() - began;
  assert.ok(spentMs >= 10_000 && spentMs <= 11_000, `${spentMs} ms`);
});

test("a dormant board uses no processor time, and status tells since when", async () => {
  const { host, system } = await serving("1");
  await host.upgrade(system, "2");
  const { a, b } = (await system.status()).boards;
  assert.deepEqual([a.dormantCpuNs, a.dormantSince], [0, host.clock.now()]);
  assert.deepEqual([b.dormantCpuNs, b.dormantSince], [null, null]);
  const board = host.boards.get("a");
  assert.ok(board !== undefined);
  board.cpuNs += 5;
  assert.equal((await system.status()).boards.a.dormantCpuNs, 5);
});

test("a share of the processor is told, and only of a board that runs", async () => {
  const { host, system } = await serving("1", "2");
  const shares = async () => {
    const { a, b } = (await system.status()).boards;
    return [`${a.role} ${a.confinement.sharePercent}`, `${b.role} ${b.confinement.sharePercent}`];
  };
  // As one that was raised while it booted.
  host.boards.priorities.set("a", "service");
  assert.deepEqual(await shares(), ["dormant null", "in service 100"]);
  host.boards.hanging.add("a.ready");
  await reach(host, "verify", toVersion(system, "3"));
  assert.deepEqual(await shares(), ["booting 0", "in service 100"]);
  await system.cancel();
  await ended({ host, system });
  assert.deepEqual(await shares(), ["off null", "in service 100"]);
});

test("status tells how deep the board sleeps, since when, and what its way back took once one was woken", async () => {
  const { host, system } = await serving("1", "2");
  const { boards } = await system.status();
  assert.equal(boards.b.dormancy, null, "a board in service does not sleep");
  assert.deepEqual(boards.a.dormancy, { depth: "warm", since: boards.a.dormantSince, wayBackMs: null });
  await host.rollback(system);
  const after = (await system.status()).boards;
  assert.deepEqual([after.a.dormancy, after.b.dormancy?.depth], [null, "warm"]);
  assert.equal(after.b.dormancy?.wayBackMs, 0, "by the simulation's clock");
  await host.upgrade(system, "3");
  assert.equal((await system.status()).boards.a.dormancy?.wayBackMs, 0, "of any board of its kind");
});

test("the event stream resumes by sequence number without gap or double", async () => {
  const { host, system } = await serving("1");
  const seen: number[] = [];
  const listen = async (afterSeq: number, count: number): Promise<void> => {
    const stop = new AbortController();
    let left = count;
    for await (const event of system.events(afterSeq, stop.signal)) {
      if (!("record" in event)) continue;
      seen.push(event.record.seq);
      left -= 1;
      if (left === 0) stop.abort();
    }
  };
  const listening = (async () => {
    // Three records, then a new connection, and so on, while the story goes on.
    for (let seq = 0; seq < 60; seq = seen.at(-1) ?? 0) await listen(seq, 3);
  })();
  await host.upgrade(system, "2");
  await host.rollback(system);
  await host.clock.runUntil(listening);
  assert.deepEqual(
    seen,
    host.records.slice(0, seen.length).map(({ seq }) => seq),
  );
});

test("a listener that comes late gets what was, then what comes; one that is aborted ends", async () => {
  const { host, system } = await serving("1");
  const stop = new AbortController();
  const seen: string[] = [];
  const listening = (async () => {
    for await (const event of system.events(0, stop.signal)) {
      if ("record" in event) seen.push(event.record.event);
    }
  })();
  await turns();
  assert.equal(seen.length, host.records.length);
  await reach(host, "probation", toVersion(system, "2"));
  assert.equal(seen.length, host.records.length);
  stop.abort();
  await listening;
  await ended({ host, system });
  assert.ok(seen.length < host.records.length);
});

test("boards are moved to other cores between stories, not within one", async () => {
  const { host, system } = await serving("1", "2");
  const all = { cores: null, emulator: null };
  const placements = { a: { cores: [0], emulator: null }, b: { cores: [2, 3], emulator: [0] } };
  const { signal } = new AbortController();
  host.boards.hanging.add("a.start");
  await reach(host, "boot", toVersion(system, "3"));
  await assert.rejects(system.place(placements, signal), { code: "busy" });
  assert.deepEqual([...host.boards.placements], []);
  host.boards.hanging.clear();
  await system.cancel();
  await ended({ host, system });
  const placing = system.place(placements, signal);
  await assert.rejects(system.place(placements, signal), {
    code: "busy",
    detail: "the boards are being moved to other cores",
  });
  await placing;
  const { boards } = await system.status();
  assert.deepEqual(
    [boards.a.confinement, boards.b.confinement],
    [
      { cores: "0", emulator: "0", sharePercent: null, memoryKills: 0, lacks: [] },
      { cores: "2-3", emulator: "0", sharePercent: 100, memoryKills: 0, lacks: [] },
    ],
  );
  await system.place({ a: all, b: all }, signal);
  assert.equal((await system.status()).boards.b.confinement.cores, null);
});
