/** A report is made of any beginning of a story, and tells what the records tell. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { at, serving } from "../../test/fixtures/simulation/scenes.ts";
import type { SimulatedHost } from "../../test/fixtures/simulation/simulated-system.ts";
import { type JournalRecord, phaseNames, recordEvents } from "./record.ts";
import { type Report, reportOf, reportsOf, summaryOf } from "./report.ts";

const record = fc.record({
  v: fc.constant(1 as const),
  seq: fc.nat(),
  boot: fc.constantFrom("one", "two"),
  story: fc.constant("000001-upgrade"),
  kind: fc.constant("upgrade" as const),
  phase: fc.constantFrom(null, ...phaseNames),
  event: fc.constantFrom(...recordEvents),
  at: fc.nat(),
  data: fc.constantFrom<JournalRecord["data"]>(
    {},
    { attempt: 2, attemptFailed: "it died" },
    { takeoverAt: 5 },
  ),
});

test("records in any order make a report, and so does every beginning of them", () => {
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 30 }), (records) => {
      for (let length = 1; length <= records.length; length += 1) {
        const report = reportOf("system", records.slice(0, length));
        assert.deepEqual(JSON.parse(JSON.stringify(report)), report);
        for (const { ms, startedAt, endedAt } of report.phases)
          assert.equal(ms, endedAt === null ? null : endedAt - startedAt);
        assert.ok(report.phases.slice(0, -1).every(({ end }) => end !== "under-way"));
        assert.equal(summaryOf(report).id, "000001-upgrade");
      }
    }),
  );
});

function newest(host: SimulatedHost): Report {
  const [report] = reportsOf("simulated", host.records);
  assert.ok(report !== undefined);
  return report;
}

const ends = (report: Report): string[] => report.phases.map(({ phase, end }) => `${phase} ${end}`);

test("an upgrade that is committed", async () => {
  const { host, system } = await serving("1");
  await host.upgrade(system, "2");
  const report = newest(host);
  assert.deepEqual(
    ends(report),
    phaseNames.map((name) => `${name} done`),
  );
  assert.deepEqual(
    [report.outcome, report.from, report.to],
    ["committed", { board: "a", version: "1", kind: "qemu" }, { board: "b", version: "2", kind: "qemu" }],
  );
  assert.equal(typeof report.service.movedAt, "number");
  assert.equal(typeof report.service.takeoverMs, "number");
  assert.equal(report.service.cameBackAt, null);
  assert.deepEqual([report.undo, report.recoveries, report.error, report.backDrain], [null, [], null, null]);
  assert.equal(report.installed?.version, "2");
  assert.deepEqual(
    report.checks.map(({ phase, board, name, failed }) => [phase, board, name, failed]),
    [
      ["verify", "b", "simulated", 0],
      ["probation", "b", "simulated", 0],
    ],
  );
  assert.ok((report.drain?.ms ?? -1) >= 0);
  await system.close();
});

test("an upgrade that is taken back: what was done is undone, and the flows of both boards are told", async () => {
  const { host, system } = await serving("1");
  at(host, { phase: "probation" }, () => host.health.setUnhealthy("b", "no answer"));
  await host.upgrade(system, "2");
  const report = newest(host);
  assert.equal(report.outcome, "rolled-back");
  assert.deepEqual(ends(report).slice(-3), ["verify undone", "takeover undone", "probation failed"]);
  const { movedAt, cameBackAt } = report.service;
  assert.ok(movedAt !== null && cameBackAt !== null && cameBackAt >= movedAt);
  assert.ok(report.backDrain !== null);
  assert.equal(report.error?.code, "board-unhealthy");
  assert.equal(report.undo?.phase, "probation");
  const [, probation] = report.checks;
  assert.deepEqual([probation?.phase, probation?.reason], ["probation", "no answer"]);
  assert.ok((probation?.failed ?? 0) > 0);
  await system.close();
});

for (const fails of [false, true])
  test(`what the host does not do for the two boards is told of a failover too, which skips verify, ${fails ? "and fails" : "and succeeds"}`, async () => {
    const { host, system } = await serving("1", "2");
    const what = "its memory is not limited: a test";
    host.boards.lacks.set("a", [what]).set("b", [what]);
    if (fails) at(host, { phase: "probation" }, () => host.boards.die("a"));
    host.boards.die("b");
    await host.clock.runUntil(system.idle());
    const { id = "" } = system.stories().find(({ kind }) => kind === "failover") ?? {};
    const report = system.report(id);
    assert.equal(report?.outcome === "committed", !fails);
    const lacks = (["a", "b"] as const).map((board) => ({ board, what }));
    assert.deepEqual(report?.lacks, lacks);
    await system.close();
  });

test("what the host does not do for the two boards is told once, also of an upgrade that fails in verify", async () => {
  const { host, system } = await serving("1");
  assert.deepEqual(newest(host).lacks, []);
  const [a, b] = ["its memory is not limited: a test", "its cores are held by affinity alone: a test"];
  host.boards.lacks.set("a", [a]).set("b", [a, b]);
  const lacks = [
    { board: "a", what: a },
    { board: "b", what: a },
    { board: "b", what: b },
  ];
  // It is verified twice.
  host.boards.faults.set("2", { diesAtBoot: { times: 1 } });
  await host.upgrade(system, "2");
  assert.deepEqual([newest(host).outcome, newest(host).lacks], ["committed", lacks]);
  const noted = host.records.filter(({ event, data }) => event === "noted" && "lacks" in data);
  assert.equal(noted.length, 1);
  host.boards.faults.set("3", { diesAtBoot: { times: 9 } });
  await host.upgrade(system, "3");
  assert.deepEqual([newest(host).outcome, newest(host).lacks], ["failed", lacks]);
  // What was mended meanwhile is told no more.
  host.boards.lacks.clear();
  host.offer("4");
  await host.upgrade(system, "4");
  assert.deepEqual([newest(host).outcome, newest(host).lacks], ["committed", []]);
  await system.close();
});

const raisedRemark = (board: string, other: string): string =>
  `Board ${board} was raised to 125 % of a full share of the processor while it booted: board ${other} left it next to nothing.`;

test("what a board was raised to while it booted is told, whether it got ready or not; of one that kept the idle class nothing is", async () => {
  const { host, system } = await serving("1");
  const raised = (): readonly string[] => newest(host).remarks.filter((remark) => remark.includes("raised"));
  assert.equal((await host.upgrade(system, "2")).outcome, "committed");
  assert.deepEqual(raised(), []);
  host.boards.raised.set("a", 125);
  // The core that it did not have may be why.
  host.boards.faults.set("3", { reports: null });
  assert.equal((await host.upgrade(system, "3")).error?.code, "board-not-ready");
  assert.deepEqual(raised(), [raisedRemark("a", "b")]);
  await system.close();

  const { host: another, system: good } = await serving("1");
  another.boards.raised.set("b", 125);
  assert.equal((await another.upgrade(good, "2")).outcome, "committed");
  assert.deepEqual(newest(another).remarks, [raisedRemark("b", "a")]);
  await good.close();
});

test("a boot that is tried again is two runs, of which the first failed", async () => {
  const { host, system } = await serving("1");
  host.boards.faults.set("2", { diesAtBoot: { times: 1 } });
  await host.upgrade(system, "2");
  const runs = newest(host).phases.filter(({ phase }) => phase === "boot" || phase === "verify");
  assert.deepEqual(
    runs.map(({ phase, attempt, end }) => [phase, attempt, end]),
    [
      ["boot", 1, "done"],
      ["verify", 1, "failed"],
      ["boot", 2, "done"],
      ["verify", 2, "done"],
    ],
  );
  assert.match(runs[1]?.reason ?? "", /the board died/);
  await system.close();
});

for (const reboot of [false, true]) {
  test(`a daemon that ends in probation${reboot ? ", with the host" : ""}`, async () => {
    const { host, system } = await serving("1");
    const { promise, resolve } = Promise.withResolvers<void>();
    at(host, { phase: "probation" }, () => resolve());
    await host.clock.runUntil(system.upgrade({ kind: "path", path: "/simulated/2.raucb" }, { force: false }));
    await host.clock.runUntil(promise);
    await host.clock.runUntil(system.close());
    if (reboot) host.reboot();
    const next = host.daemon();
    await host.settle(next);
    const report = reportsOf("simulated", host.records).find(({ id }) => id === "000002-upgrade");
    assert.ok(report !== undefined);
    const [recovery] = report.recoveries;
    assert.deepEqual(
      [recovery?.after, recovery?.action, recovery?.phase],
      reboot ? ["reboot", "roll-back", "probation"] : ["daemon", "go-on", "probation"],
    );
    assert.equal(report.phases.find(({ phase }) => phase === "probation")?.end, "interrupted");
    assert.equal(report.outcome, reboot ? "rolled-back" : "committed");
    await next.close();
  });
}
