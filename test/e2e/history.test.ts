/** `twinboard history` over a real socket, and from the files that a daemon left. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Report, StoryList } from "../../src/api/report-schemas.ts";
import { ReportFiles } from "../../src/report/files.ts";
import { unknownFacts } from "../../src/upgrade/facts.ts";
import { runCommand } from "../fixtures/command.ts";
import { ScriptedDaemon, type ScriptedSystem } from "../fixtures/scripted-system.ts";

const drain = {
  left: 0,
  finished: 12,
  closedEarly: 3,
  cut: 0,
  ms: 4200,
  remarks: ["one client never answered"],
  services: { web: { left: 0, finished: 12, closedEarly: 3, cut: 0 } },
};
const error = {
  code: "board-unhealthy",
  message: "a health check of the board fails: web",
  remedy: "see what the check asks for",
  phase: "probation",
  console: ["\u001b[31mworker died\u001b[0m", "<script>alert(1)</script>"],
};

/** Three stories: one that is committed, one that is rolled back, one under way. */
function tell(system: ScriptedSystem): void {
  const facts = { ...unknownFacts, from: "a", to: "b", fromVersion: "1.0.0", toVersion: "2.0.0" };
  const first = "000001-upgrade";
  system.record(first, "story-began", null, facts);
  system.record(first, "noted", "verify", {
    lacks: [{ board: "b", what: "its memory is not limited: a test" }],
  });
  system.record(first, "phase-began", "takeover");
  system.record(first, "noted", "takeover", { takeoverAt: Date.UTC(2026, 0, 1, 0, 0, 2) });
  system.record(first, "noted", "takeover", { takeoverMs: 0.8 });
  system.record(first, "phase-done", "takeover");
  system.record(first, "phase-began", "probation");
  system.record(first, "noted", "probation", { drain });
  system.record(first, "phase-done", "probation");
  system.end(first, "committed");
  const second = "000002-upgrade";
  system.record(second, "story-began", null, facts);
  system.record(second, "phase-began", "probation");
  system.record(second, "phase-failed", "probation", { error });
  system.end(second, "rolled-back", error);
  system.record("000003-rollback", "story-began", null, facts);
  system.record("000003-rollback", "phase-began", "boot");
}

async function told(): Promise<ScriptedDaemon> {
  const daemon = await ScriptedDaemon.start();
  tell(daemon.system);
  return daemon;
}

test("history lists the stories, newest first", async () => {
  await using daemon = await told();
  const plain = await runCommand(["history", "--socket", daemon.socket]);
  assert.equal(plain.exitCode, 0, plain.stderr);
  const [head = "", running = "", back = "", done = "", ...more] = plain.stdout.trimEnd().split("\n");
  assert.match(head, /^story +from → to +outcome +began +took +flows/);
  assert.match(running, /^000003-rollback +1\.0\.0 → 2\.0\.0 +in boot +2026-01-01 00:00:\d\d UTC +– +–$/);
  assert.match(back, /^000002-upgrade .* rolled-back \(board-unhealthy\) /);
  assert.match(done, /^000001-upgrade .* committed .* 12, 3, 0$/);
  assert.deepEqual(more, []);

  const json = await runCommand(["history", "--json", "--limit", "2", "--socket", daemon.socket]);
  const { stories } = JSON.parse(json.stdout) as StoryList;
  assert.deepEqual(
    stories.map(({ id, outcome, phase }) => [id, outcome, phase]),
    [
      ["000003-rollback", null, "boot"],
      ["000002-upgrade", "rolled-back", "probation"],
    ],
  );
});

test("a system without stories says so", async () => {
  await using daemon = await ScriptedDaemon.start();
  const run = await runCommand(["history", "--socket", daemon.socket]);
  assert.deepEqual([run.exitCode, run.stdout], [0, "No story yet.\n"]);
  const last = await runCommand(["history", "last", "--socket", daemon.socket]);
  assert.deepEqual(
    [last.exitCode, last.stderr.split("\n")[0]],
    [2, "twinboard: there is no such thing: no story is kept"],
  );
});

test("history ID, its number, or last: the report as text and as JSON", async () => {
  await using daemon = await told();
  const byNumber = await runCommand(["history", "2", "--socket", daemon.socket]);
  assert.equal(byNumber.exitCode, 0, byNumber.stderr);
  for (const wanted of [
    /^Board a serves 1\.0\.0 again/,
    /\(board-unhealthy\)/,
    /\| worker died\n/,
    /probation +/,
  ])
    assert.match(byNumber.stdout, wanted);
  assert.ok(!byNumber.stdout.includes("\u001b"), "the console does not steer the terminal");
  const byId = await runCommand(["history", "000002-upgrade", "--socket", daemon.socket]);
  assert.equal(byId.stdout, byNumber.stdout);

  const first = await runCommand(["history", "1", "--json", "--socket", daemon.socket]);
  const report = JSON.parse(first.stdout) as Report;
  assert.deepEqual(
    [report.v, report.outcome, report.drain, report.service.takeoverMs],
    [1, "committed", drain, 0.8],
  );
  const text = await runCommand(["history", "1", "--socket", daemon.socket]);
  assert.match(
    text.stdout,
    /nothing was lost in the drain: 12 connections ended by themselves, 3 were closed/,
  );
  assert.match(text.stdout, /one client never answered/);
  assert.match(text.stdout, /\nWhat the boards lacked\n {2}board b: its memory is not limited: a test\n/);
  assert.doesNotMatch(byId.stdout, /lacked/);
  const last = await runCommand(["history", "last", "--socket", daemon.socket]);
  assert.match(last.stdout, /^The rollback to 2\.0\.0 is under way since .*, in boot\.\n/);
});

test("history ID --html writes a page, over what is there", async (t) => {
  await using daemon = await told();
  const directory = await mkdtemp(join(tmpdir(), "twinboard-history-"));
  t.after(() => rm(directory, { recursive: true }));
  const file = join(directory, "report.html");
  await writeFile(file, "old");
  const run = await runCommand(["history", "2", "--html", file, "--socket", daemon.socket]);
  assert.deepEqual([run.exitCode, run.stdout, run.stderr], [0, "", ""]);
  const page = await readFile(file, "utf8");
  assert.match(page, /^<!DOCTYPE html>\n/);
  assert.match(page, /&lt;script&gt;alert\(1\)/);
  assert.ok(!page.includes("<script"));
  const piped = await runCommand(["history", "2", "--html", "-", "--socket", daemon.socket]);
  assert.equal(piped.stdout, page);
  const nowhere = await runCommand(["history", "2", "--html", directory, "--socket", daemon.socket]);
  assert.equal(nowhere.exitCode, 64);
});

const refusals = [
  [["history", "nope"], 2, /there is no such thing: story nope; twinboard history lists those that are kept/],
  [["history", "7"], 2, /there is no such thing: story 7; /],
  [["history", "../etc"], 2, /expected the id of a story/],
  [["history", "--limit", "0"], 64, /expected a number from 1 to 100/],
  [["history", "--html", "x.html"], 64, /--html needs the id of a story/],
] as const;

test("what is unknown or not understood", async () => {
  await using daemon = await told();
  for (const [args, exitCode, words] of refusals) {
    const run = await runCommand([...args, "--socket", daemon.socket]);
    assert.equal(run.exitCode, exitCode, run.stderr);
    assert.match(run.stderr, words);
  }
});

test("without a daemon the files are read that it left", async (t) => {
  await using daemon = await told();
  const directory = await mkdtemp(join(tmpdir(), "twinboard-history-"));
  t.after(() => rm(directory, { recursive: true }));
  const files = ReportFiles.of(directory);
  for (const id of ["000001-upgrade", "000002-upgrade"]) {
    const report = daemon.system.report(id);
    assert.ok(report !== undefined);
    await files.keep(report);
  }
  const config = join(directory, "config.yaml");
  await writeFile(config, configText(directory));
  const list = await runCommand(["history", "--config", config]);
  assert.equal(list.exitCode, 0, list.stderr);
  assert.match(list.stdout, /\n000002-upgrade .*\n000001-upgrade .*\n$/);
  const online = await runCommand(["history", "1", "--socket", daemon.socket]);
  const offline = await runCommand(["history", "1", "--config", config]);
  assert.equal(offline.stdout, online.stdout);
  const unknown = await runCommand(["history", "3", "--config", config]);
  assert.equal(unknown.exitCode, 2);
});

function configText(directory: string): string {
  return `system: history-test
compatible: acme
state-directory: ${directory}
trust: { keyring: /etc/twinboard/keyring.pem }
boards: { memory: 256MiB }
network: { uplink: up0 }
services: [{ name: web, protocol: tcp, address: 198.51.100.10, port: 80 }]
`;
}
