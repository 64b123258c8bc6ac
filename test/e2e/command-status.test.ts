/** `twinboard status`, once and with `--watch`, over a real socket. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Status } from "../../src/api/schemas.ts";
import { TwinboardError } from "../../src/errors.ts";
import { runCommand, startCommand } from "../fixtures/command.ts";
import { ScriptedDaemon } from "../fixtures/scripted-system.ts";

const counts = { left: 12, finished: 3, closedEarly: 40, cut: 0 };
const draining = {
  id: "000007-upgrade",
  kind: "upgrade",
  phase: "probation",
  from: "1.0.0",
  to: "2.0.0",
  startedAt: Date.UTC(2026, 0, 1),
  progress: {
    story: "000007-upgrade",
    phase: "probation",
    drain: { ...counts, services: { web: counts, telemetry: { ...counts, left: 0 } } },
  },
} as const;

test("status tells whether failover is ready, and the drain by service", async () => {
  await using daemon = await ScriptedDaemon.start();
  const ask = async () => (await runCommand(["status", "--socket", daemon.socket])).stdout;
  assert.match(await ask(), /^Failover: ready$/m);
  daemon.system.changes = { failover: { ready: false, reason: "slot b is bad" }, story: draining };
  const told = await ask();
  assert.match(told, /^Failover: not ready, slot b is bad$/m);
  assert.match(
    told,
    /^ {2}drain of {3}left {2}finished {2}closed early {2}reset\n {2}web {8}12 {4}3 {9}40 {12}0\n {2}telemetry {2}0 {5}3 {9}40 {12}0$/m,
  );
});

test("status --watch: what changes is told below, a daemon that is restarted is waited for", async () => {
  await using daemon = await ScriptedDaemon.start();
  const { system } = daemon;
  const command = startCommand(["status", "--watch", "--socket", daemon.socket]);
  await command.said("Failover: ready");
  system.changes = { failover: { ready: false, reason: "board b is off" } };
  system.record("000001-upgrade", "story-began");
  await command.said("not ready, board b is off");
  await daemon.stop();
  await command.said("THE DAEMON HAS NOT ANSWERED FOR");
  system.changes = { floor: "3.1.4" };
  await daemon.serve();
  await command.said("Version floor: 3.1.4");
  command.kill("SIGINT");
  const { exitCode, stdout, stderr } = await command.ended;
  assert.deepEqual([exitCode, stderr], [130, ""]);
  assert.equal(stdout.match(/is in service/g)?.length, 4, stdout);
});

test("status --watch --json: one status a line, at each event and each second; an error when the daemon is lost", async () => {
  await using daemon = await ScriptedDaemon.start();
  const { system } = daemon;
  const command = startCommand(["status", "--watch", "--json", "--socket", daemon.socket]);
  await command.said('"seq":0');
  for (const seq of [1, 2]) {
    system.record("000001-upgrade", "story-began");
    await command.said(`"seq":${seq}`);
  }
  system.changes = { floor: "9" };
  await command.said('"floor":"9"');
  await daemon.stop();
  await command.said("daemon-unreachable");
  await daemon.serve();
  system.changes = { floor: "10" };
  await command.said('"floor":"10"');
  command.kill("SIGTERM");
  const { exitCode, stdout } = await command.ended;
  assert.equal(exitCode, 130);
  const lines = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Partial<Status> & { error?: unknown });
  assert.equal(lines.filter(({ error }) => error !== undefined).length, 1);
});

test("status --watch ends when nobody reads it any more", async () => {
  await using daemon = await ScriptedDaemon.start();
  const command = startCommand(["status", "--watch", "--json", "--socket", daemon.socket]);
  await command.said('"seq":0');
  command.hangUp();
  assert.equal((await command.ended).exitCode, 130);
});

test("status --watch without a daemon to begin with is an error at once", async () => {
  const { exitCode, stderr } = await runCommand(["status", "--watch", "--socket", "/nonexistent.sock"]);
  assert.equal(exitCode, 2);
  assert.match(stderr, /no daemon answers on the socket/);
});

test("status --watch on a terminal is drawn in place, and the cursor comes back", async () => {
  await using daemon = await ScriptedDaemon.start();
  const terminal = startCommand([], { TERM: "xterm" }, (program) => [
    "script",
    ["-qfec", `stty rows 30 cols 60; ${program} status --watch --socket ${daemon.socket}`, "/dev/null"],
  ]);
  await terminal.said("Version floor");
  daemon.system.changes = { floor: "3.1.4" };
  await terminal.said("Version floor: 3.1.4");
  terminal.stdin.write("\u0003");
  const { stdout } = await terminal.ended;
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  assert.match(stdout, /\u001b\[\?25l.*\u001b\[9A\r.*\u001b\[\?25h/s);
});

test("status tells on which cores the boards run, and what the host does not do for them", async () => {
  await using daemon = await ScriptedDaemon.start();
  const { boards } = await daemon.system.status();
  const lacks = ["2 threads may use other cores than configured (worker)"];
  daemon.system.changes = {
    boards: {
      a: {
        ...boards.a,
        confinement: { cores: "2-3", emulator: "0", sharePercent: 100, memoryKills: 0, lacks },
      },
      b: {
        ...boards.b,
        role: "booting",
        dormantSince: null,
        dormantCpuNs: null,
        confinement: { cores: "1", emulator: "1", sharePercent: 0, memoryKills: 0, lacks: [] },
      },
    },
  };
  const { stdout } = await runCommand(["status", "--socket", daemon.socket]);
  assert.match(stdout, /\nBoard a: 2 threads may use other cores than configured \(worker\)\n/);
  assert.match(stdout, /^a .* 2-3, emulator 0 {2}full$/m);
  assert.match(stdout, /^b .* 1 {16}idle class$/m);
});

test("status tells how the other board sleeps and what its way back took, as far as that is known", async () => {
  await using daemon = await ScriptedDaemon.start();
  const ask = async () => (await runCommand(["status", "--socket", daemon.socket])).stdout;
  assert.match(await ask(), /^Board b: asleep, lean for \d+ [dh] .*; wakes in 4 ms, as last measured$/m);
  const { boards } = await daemon.system.status();
  const off = { depth: "off", since: null, wayBackMs: 12_400 } as const;
  daemon.system.changes = { boards: { ...boards, b: { ...boards.b, role: "off", dormancy: off } } };
  assert.match(await ask(), /^Board b: off; boots in 12\.4 s, as last measured$/m);
  const unknown = { depth: null, since: null, wayBackMs: null };
  daemon.system.changes = { boards: { ...boards, b: { ...boards.b, dormancy: unknown } } };
  assert.match(await ask(), /^Board b: asleep; wakes$/m);
});

test("place tells where the boards are now, and what waits for the daemon's next start; or why not", async () => {
  await using daemon = await ScriptedDaemon.start();
  const refused = await runCommand(["place", "--socket", daemon.socket]);
  assert.equal(refused.exitCode, 2);
  assert.match(refused.stderr, /another story is under way/);
  daemon.placed = () =>
    Promise.reject(new TwinboardError("config-invalid", { detail: "no core 7", remedy: "it has 0-3" }));
  const absent = await runCommand(["place", "--socket", daemon.socket]);
  assert.match(absent.stderr, /no core 7\n +it has 0-3\n/);
  const placed = {
    boards: { a: { cores: "2-3", emulator: "0" }, b: { cores: null, emulator: null } },
    otherChanges: true,
  };
  daemon.placed = () => Promise.resolve(placed);
  const { exitCode, stdout } = await runCommand(["place", "--socket", daemon.socket]);
  assert.equal(exitCode, 0);
  assert.equal(
    stdout,
    "Board a uses cores 2-3, its emulator cores 0.\nBoard b uses all cores.\nOther parts of the file have changed too: they wait for the daemon's next start.\n",
  );
  const json = await runCommand(["place", "--json", "--socket", daemon.socket]);
  assert.deepEqual(JSON.parse(json.stdout), placed);
});
