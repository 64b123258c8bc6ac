/** The command over a real socket: exit codes, what it prints, Ctrl-C, and a daemon that goes away in between. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { errorTable, TwinboardError } from "../../src/errors.ts";
import { runCommand, startCommand } from "../fixtures/command.ts";
import { ScriptedDaemon } from "../fixtures/scripted-system.ts";

const failure = {
  code: "board-unhealthy",
  message: "a health check of the board fails: web failed 3 times in a row",
  remedy: errorTable["board-unhealthy"].remedy,
  phase: "probation",
  console: ["init: started", "nginx: worker died"],
};

const outcomes = [
  ["committed", 0, /^Committed \(upgrade\): 1\.0\.0 → 2\.0\.0, 2\.1 s\n$/],
  [
    "rolled-back",
    1,
    /^Rolled back: the old board serves again.*\nprobation: a health check.*\n.*\nLast lines of the console:\n {2}\| init: started\n {2}\| nginx/,
  ],
  ["failed", 1, /^Failed: the service never moved/],
  ["rejected", 2, /^Rejected: nothing changed/],
  ["stuck", 3, /^Stuck: this needs a person/],
] as const;

for (const [outcome, exitCode, told] of outcomes) {
  test(`upgrade: ${outcome} is exit code ${exitCode}`, async () => {
    await using daemon = await ScriptedDaemon.start();
    const { system } = daemon;
    const command = startCommand(["upgrade", "some.raucb", "--socket", daemon.socket]);
    const id = await system.begun();
    system.record(id, "phase-began", "deliver");
    system.record(id, "phase-done", "deliver");
    system.record(id, "phase-began", "install");
    system.progress({ story: id, phase: "install", bytes: 50, totalBytes: 100 });
    system.end(id, outcome, outcome === "committed" ? null : failure);
    const run = await command.ended;
    assert.equal(run.exitCode, exitCode, run.stderr);
    assert.match(run.stdout, told);
    assert.match(
      run.stderr,
      /^Upgrade of gateway from 1\.0\.0\ndeliver …\ndeliver done \(1\.0 s\)\ninstall …\n/,
    );
    assert.deepEqual(system.asked, [`upgrade ${process.cwd()}/some.raucb false`]);
  });
}

test("upgrade --json: one object a line, the result last", async () => {
  await using daemon = await ScriptedDaemon.start();
  const { system } = daemon;
  const command = startCommand(["upgrade", "/x.raucb", "--force", "--json"], {
    TWINBOARD_SOCKET: daemon.socket,
  });
  const id = await system.begun();
  await command.said("story-began");
  system.progress({ story: id, phase: "deliver", awaiting: "the bundle", bytes: 1 });
  // Another story's events are not this one's.
  system.record("000000-upgrade", "phase-began", "commit");
  system.end(id, "committed");
  const { exitCode, stdout, stderr } = await command.ended;
  assert.equal(exitCode, 0);
  assert.equal(stderr, "");
  const lines = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, Record<string, unknown>>);
  assert.deepEqual(
    lines.map((line) => Object.keys(line).join()),
    ["record", "progress", "record", "result"],
  );
  assert.equal(lines.at(-1)?.["result"]?.["outcome"], "committed");
  assert.deepEqual(system.asked, ["upgrade /x.raucb true"]);
});

test("upgrade refused: a sentence and a remedy, or an object; exit code 2", async () => {
  await using daemon = await ScriptedDaemon.start();
  daemon.system.refusal = new TwinboardError("busy", { detail: "000001-upgrade, in probation" });
  const plain = await runCommand(["upgrade", "x", "--socket", daemon.socket]);
  assert.equal(plain.exitCode, 2);
  assert.equal(
    plain.stderr,
    "twinboard: another story is under way: 000001-upgrade, in probation\n           wait for it, or cancel it\n",
  );
  const json = await runCommand(["upgrade", "x", "--json", "--socket", daemon.socket]);
  assert.equal(json.exitCode, 2);
  assert.deepEqual(JSON.parse(json.stdout), {
    error: {
      code: "busy",
      kind: "rejected",
      message: "another story is under way: 000001-upgrade, in probation",
      remedy: "wait for it, or cancel it",
      phase: null,
    },
  });
});

test("upgrade --no-wait returns with the id", async () => {
  await using daemon = await ScriptedDaemon.start();
  const run = await runCommand(["upgrade", "x", "--no-wait", "--json", "--socket", daemon.socket]);
  assert.deepEqual([run.exitCode, run.stdout], [0, '{"id":"000001-upgrade"}\n']);
});

test("Ctrl-C detaches, says so, and the upgrade goes on", async () => {
  await using daemon = await ScriptedDaemon.start();
  const command = startCommand(["upgrade", "x", "--socket", daemon.socket]);
  const id = await daemon.system.begun();
  daemon.system.record(id, "phase-began", "install");
  await command.said("install …");
  command.kill("SIGINT");
  const run = await command.ended;
  assert.equal(run.exitCode, 130);
  assert.match(run.stderr, /Detached: the upgrade goes on\. Watch it with: twinboard status\n$/);
  assert.equal(run.stdout, "");
  assert.ok(!daemon.system.asked.includes("cancel"));
});

test("a reader that goes away changes nothing", async () => {
  await using daemon = await ScriptedDaemon.start();
  const { system } = daemon;
  const command = startCommand(["upgrade", "x", "--json", "--socket", daemon.socket]);
  const id = await system.begun();
  await command.said("story-began");
  command.hangUp();
  for (const phase of ["deliver", "vacate", "install"] as const) system.record(id, "phase-began", phase);
  system.end(id, "rolled-back", failure);
  const run = await command.ended;
  assert.deepEqual([run.exitCode, run.stderr], [1, ""]);
});

test("a daemon that restarts is waited for, and nothing is told twice or left out", async () => {
  await using daemon = await ScriptedDaemon.start();
  const { system } = daemon;
  const command = startCommand(["upgrade", "x", "--socket", daemon.socket]);
  const id = await system.begun();
  system.record(id, "phase-began", "boot");
  await command.said("boot …");
  await daemon.stop();
  await command.said("the daemon does not answer");
  system.record(id, "phase-done", "boot");
  system.record(id, "phase-began", "verify");
  await daemon.serve();
  await command.said("verify …");
  system.end(id, "committed");
  const run = await command.ended;
  assert.equal(run.exitCode, 0);
  assert.match(
    run.stderr,
    /^Upgrade of gateway from 1\.0\.0\nboot …\nthe daemon does not answer.*\nthe daemon is back\nboot done \(1\.0 s\)\nverify …\n$/,
  );
  // The story-began is record 1 and boot's beginning record 2: the second connection resumes after that.
  assert.deepEqual(system.watchedAfter, [0, 2]);
});

test("a bundle from stdin is streamed and taken as slowly as the system reads it", async () => {
  await using daemon = await ScriptedDaemon.start();
  const { system } = daemon;
  const command = startCommand(["upgrade", "-", "--socket", daemon.socket]);
  const half = Buffer.alloc(1024 * 1024, 7);
  command.stdin.write(half);
  const id = await system.begun();
  system.record(id, "phase-began", "deliver");
  // The story is watched while the bundle is still on its way.
  await command.said("deliver …");
  command.stdin.end(half);
  const received = async (): Promise<void> => {
    while (system.receivedBytes < 2 * half.length) await new Promise(setImmediate);
  };
  await received();
  system.end(id, "committed");
  const run = await command.ended;
  assert.equal(run.exitCode, 0, run.stderr);
  assert.deepEqual(system.asked, ["upgrade stream false"]);
});

test("a bundle from stdin that is refused costs no byte; one that is given up ends the command", async () => {
  await using daemon = await ScriptedDaemon.start();
  const { system } = daemon;
  system.refusal = new TwinboardError("busy", { detail: "something" });
  const refused = startCommand(["upgrade", "-", "--socket", daemon.socket]);
  assert.equal((await refused.ended).exitCode, 2);
  assert.equal(system.receivedBytes, 0);

  system.refusal = undefined;
  system.consume = async (stream) => {
    // As a disk that is full after the first chunk.
    for await (const _ of stream) break;
  };
  const command = startCommand(["upgrade", "-", "--socket", daemon.socket]);
  command.stdin.write(Buffer.alloc(4 * 1024 * 1024));
  const id = await system.begun();
  system.end(id, "rejected", { ...failure, code: "too-little-disk", phase: "deliver", console: [] });
  assert.equal((await command.ended).exitCode, 2);
});

test("Ctrl-C before the whole bundle was sent says what becomes of it", async () => {
  await using daemon = await ScriptedDaemon.start();
  const { system } = daemon;
  const brokenOff = Promise.withResolvers<unknown>();
  system.consume = async (stream) => {
    try {
      for await (const chunk of stream) system.receivedBytes += chunk.length;
      brokenOff.resolve("whole");
    } catch (error) {
      brokenOff.resolve(error);
    }
  };
  const command = startCommand(["upgrade", "-", "--socket", daemon.socket]);
  command.stdin.write("the first half");
  const id = await system.begun();
  system.record(id, "phase-began", "deliver");
  await command.said("deliver …");
  command.kill("SIGINT");
  const run = await command.ended;
  assert.equal(run.exitCode, 130);
  assert.match(run.stderr, /had not been sent whole/);
  const error = await brokenOff.promise;
  assert.ok(error instanceof TwinboardError && error.code === "bundle-truncated", String(error));
});

test("rollback, cancel and down", async () => {
  await using daemon = await ScriptedDaemon.start();
  const { system } = daemon;
  const rollback = startCommand(["rollback", "--socket", daemon.socket]);
  system.end(await system.begun(), "committed");
  const rolled = await rollback.ended;
  assert.equal(rolled.exitCode, 0, rolled.stderr);
  assert.match(rolled.stdout, /^Committed \(rollback\)/);

  assert.equal((await runCommand(["cancel", "--socket", daemon.socket])).exitCode, 0);
  const down = await runCommand(["down", "--json", "--socket", daemon.socket]);
  assert.deepEqual([down.exitCode, down.stdout], [0, '{"down":true,"by":"daemon"}\n']);
  assert.equal(daemon.downs, 1);
  system.refusal = new TwinboardError("nothing-to-cancel");
  const nothing = await runCommand(["cancel", "--socket", daemon.socket]);
  assert.deepEqual(
    [nothing.exitCode, nothing.stderr],
    [2, "twinboard: no story is under way\n           see twinboard status\n"],
  );
});

test("status for people and as JSON", async () => {
  await using daemon = await ScriptedDaemon.start();
  const plain = await runCommand(["status", "--socket", daemon.socket]);
  assert.equal(plain.exitCode, 0);
  assert.match(plain.stdout, /^gateway: board a is in service with 1\.0\.0\n/);
  assert.match(
    plain.stdout,
    /\nboard {2}role {8}kind {2}version {2}slot {2}processor .* memory {5}cores {2}share\na {6}in service {2}qemu {2}1\.0\.0 {4}good {2}12\.3 s .* 231\.0 MiB {2}all {4}–\nb {6}dormant {5}qemu {2}0\.9\.0 {4}good {2}0 ns in /,
  );
  const json = JSON.parse(
    (await runCommand(["status", "--json", "--socket", daemon.socket])).stdout,
  ) as object;
  assert.deepEqual(json, JSON.parse(JSON.stringify(await daemon.system.status())));
});

test("no daemon: exit code 2 and what to do", async () => {
  for (const args of [["status"], ["upgrade", "x"], ["rollback"], ["cancel"], ["down"]]) {
    const run = await runCommand([...args, "--socket", "/nonexistent/twinboard.sock"]);
    assert.equal(run.exitCode, 2, args.join(" "));
    assert.match(
      run.stderr,
      /^twinboard: no daemon answers on the socket: .*no such socket\n.*twinboard serve/,
    );
  }
});

test("what is not understood is exit code 64, help is 0", async () => {
  const wrong = [
    [],
    ["upgade", "x"],
    ["upgrade"],
    ["upgrade", "a", "b"],
    ["upgrade", "x", "--forze"],
    ["upgrade", "https://example.org/x.raucb", "--socket", "/x"],
    ["serve"],
    ["bundle"],
    ["bundle", "explode"],
    ["status", "--socket"],
  ];
  for (const args of wrong) {
    const run = await runCommand(args);
    assert.equal(run.exitCode, 64, `${args.join(" ")}: ${run.stderr}`);
    assert.notEqual(run.stderr, "", args.join(" "));
    assert.equal(run.stdout, "", args.join(" "));
  }
  const typo = await runCommand(["upgade", "x"]);
  assert.match(typo.stderr, /Did you mean upgrade\?/);
  assert.match((await runCommand(["upgrade"])).stderr, /see twinboard upgrade --help/);
  for (const args of [["--help"], ["help"], ["upgrade", "--help"], ["bundle", "--help"], ["--version"]]) {
    const run = await runCommand(args);
    assert.equal(run.exitCode, 0, args.join(" "));
    assert.notEqual(run.stdout, "", args.join(" "));
  }
});
