/** The real daemon with its real drivers in a network namespace of its own; no board is booted here. */
import assert from "node:assert/strict";
import { access, chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { StoryList } from "../../src/api/report-schemas.ts";
import type { Status } from "../../src/api/schemas.ts";
import { ReportFiles } from "../../src/report/files.ts";
import { coreListText } from "../../src/system/core-list.ts";
import { ownCores } from "../../src/system/host-cores.ts";
import { systemNames } from "../../src/system/names.ts";
import { run } from "../../src/system/process.ts";
import { type CommandRun, type Command as Running, runCommand, startCommand } from "../fixtures/command.ts";
import { link, makeNamespaces, type Namespaces } from "../fixtures/namespaces.ts";

const system = `test-daemon-${process.pid}`;
const names = systemNames(system);
const needsRoot = process.geteuid?.() === 0 ? false : "needs root to make network namespaces";
const withRoot = { skip: needsRoot };

let directory: string;
let config: string;
let socket: string;
let namespaces: Namespaces;

before(async () => {
  if (needsRoot !== false) return;
  directory = await mkdtemp(join(tmpdir(), "twinboard-daemon-"));
  await chmod(directory, 0o755);
  config = join(directory, "system.yaml");
  socket = join(directory, "api.sock");
  namespaces = await makeNamespaces("daemon");
  await writeFile(config, configuration(link.card));
});
after(async () => {
  if (needsRoot !== false) return;
  await namespaces.remove();
  await rm(directory, { recursive: true });
  await rm(names.runDirectory, { recursive: true, force: true });
});

const configuration = (uplink: string): string => `system: ${system}
compatible: test
state-directory: ${directory}/state
trust: { keyring: keyring.pem }
boards: { memory: 64MiB, accelerator: tcg }
network: { uplink: ${uplink} }
services:
  - { name: web, protocol: tcp, address: 198.51.100.10, port: 80 }
`;

const enter = (command: string, args: readonly string[]): [string, string[]] =>
  namespaces.device.enter(command, args);
const inDevice = async (...args: string[]): Promise<CommandRun> => await runCommand(args, {}, enter);
const ask = async (...args: string[]): Promise<CommandRun> => await inDevice(...args, "--socket", socket);

async function serving(env: Readonly<Record<string, string>> = {}): Promise<Running> {
  const daemon = startCommand(["serve", "--config", config, "--socket", socket], env, enter);
  await daemon.said("notice serving");
  return daemon;
}

const output = async (command: string, ...args: string[]): Promise<string> =>
  (await run(...enter(command, args))).stdout.toString();

/** Tables and cards in the device that are ours. */
async function ours(): Promise<string[]> {
  const tables = await output("nft", "list", "tables");
  const cards = await output("ip", "-o", "link");
  const wanted = (["a", "b"] as const).flatMap((board) => [
    names.card(board, "mgmt"),
    names.card(board, "service"),
  ]);
  return [
    ...(tables.includes(names.table) ? [names.table] : []),
    ...wanted.filter((card) => cards.includes(`${card}:`)),
  ];
}

test(
  "one daemon: a second is refused, a killed one is replaced, a stopped one leaves everything",
  withRoot,
  async () => {
    const first = await serving();
    const status = await ask("status", "--json");
    assert.equal(status.exitCode, 0, status.stderr);
    assert.equal((JSON.parse(status.stdout) as { system: string }).system, system);

    const second = await inDevice("serve", "--config", config, "--socket", join(directory, "other.sock"));
    assert.equal(second.exitCode, 2);
    assert.match(
      second.stderr,
      new RegExp(`another daemon serves this system: .*process ${await lockHolder()}\\n`),
    );
    const beside = await inDevice("down", "--config", config, "--socket", join(directory, "other.sock"));
    assert.equal(beside.exitCode, 2, "a down without the daemon must not go on beside it");

    process.kill(Number(await lockHolder()), "SIGKILL");
    await assert.rejects(first.ended, /SIGKILL/);
    const third = await serving();
    assert.equal((await ask("status")).exitCode, 0, "the socket that was left is replaced");
    const served = await ours();
    assert.equal(served.length, 5, served.join());

    process.kill(Number(await lockHolder()), "SIGTERM");
    const stopped = await third.ended;
    assert.equal(stopped.exitCode, 0, stopped.stderr);
    assert.match(stopped.stdout, /stopping; boards and rules stay/);
    assert.deepEqual(await ours(), served);
    assert.equal((await ask("status")).exitCode, 2);
  },
);

async function lockHolder(): Promise<string> {
  return (await readFile(join(directory, "state", "lock"), "utf8")).trim();
}

test("down without a daemon, and through it: nothing of ours is left", withRoot, async () => {
  const alone = await inDevice("down", "--config", config, "--socket", socket);
  assert.equal(alone.exitCode, 0, alone.stderr);
  assert.deepEqual(await ours(), []);
  await assert.rejects(access(names.runDirectory), { code: "ENOENT" });

  const daemon = await serving();
  assert.equal((await ours()).length, 5);
  const through = await ask("down", "--json");
  assert.equal(through.stdout, '{"down":true,"by":"daemon"}\n', through.stderr);
  assert.equal((await daemon.ended).exitCode, 0);
  assert.deepEqual(await ours(), []);
});

test(
  "an upgrade that is refused in the deliver phase is told from the daemon to the shell",
  withRoot,
  async () => {
    const daemon = await serving();
    const upgrade = await ask("upgrade", config);
    assert.equal(upgrade.exitCode, 2, upgrade.stdout + upgrade.stderr);
    assert.match(upgrade.stdout, /^Rejected: nothing changed.*\ndeliver: .*\(bundle-not-a-bundle\)\n/);
    const rollback = await ask("rollback");
    assert.match(rollback.stderr, /no dormant board holds good software/);
    assert.equal((await ask("cancel")).exitCode, 2);
    const history = await ask("history", "last");
    assert.match(
      history.stdout,
      /^Nothing was changed: the upgrade was refused, because this is not a RAUC bundle/,
    );
    await ask("down");
    assert.equal((await daemon.ended).exitCode, 0);
  },
);

test("a report that is not there is written by the next daemon, and read without one", withRoot, async () => {
  const files = ReportFiles.of(join(directory, "state"));
  await rm(join(directory, "state", "reports"), { recursive: true, force: true });
  const daemon = await serving();
  while ((await files.ids()).length === 0) await new Promise(setImmediate);
  await ask("down");
  assert.equal((await daemon.ended).exitCode, 0);
  const list = await inDevice("history", "--config", config, "--json");
  const { stories } = JSON.parse(list.stdout) as StoryList;
  assert.deepEqual(
    stories.map(({ outcome, error }) => [outcome, error?.code]),
    [["rejected", "bundle-not-a-bundle"]],
  );
});

test("systemd is told READY, STOPPING, and that the watchdog may rest", withRoot, async () => {
  const programs = join(directory, "programs");
  const heard = join(directory, "heard");
  await mkdir(programs, { recursive: true });
  await writeFile(join(programs, "systemd-notify"), `#!/bin/sh\nshift\necho "$@" >>${heard}\n`, {
    mode: 0o755,
  });
  const daemon = await serving({
    PATH: `${programs}:${process.env["PATH"] ?? ""}`,
    NOTIFY_SOCKET: "/nowhere",
    WATCHDOG_USEC: "100000",
  });
  const lines = async (): Promise<string[]> => (await readFile(heard, "utf8").catch(() => "")).split("\n");
  while (!(await lines()).includes("WATCHDOG=1")) await new Promise(setImmediate);
  process.kill(Number(await lockHolder()), "SIGTERM");
  await daemon.ended;
  const told = (await lines()).filter((line) => line !== "" && line !== "WATCHDOG=1");
  assert.deepEqual(told, [`READY=1 STATUS=serving ${system}`, "STOPPING=1"]);
  await inDevice("down", "--config", config, "--socket", socket);
});

const otherUser = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];

test("what the host lacks: one sentence and a remedy", withRoot, async () => {
  const nowhere = join(directory, "nowhere.yaml");
  await writeFile(nowhere, configuration("nocard0"));
  const card = await inDevice("serve", "--config", nowhere);
  assert.equal(card.exitCode, 2);
  assert.match(card.stderr, /^twinboard: a network card is missing: nocard0.*\n +name a card that exists/);

  const greedy = join(directory, "greedy.yaml");
  await writeFile(
    greedy,
    configuration(link.card).replace("64MiB", "1000GiB").replace("tcg }", "tcg, user: nosuchuser }"),
  );
  const memory = await inDevice("serve", "--config", greedy);
  assert.equal(memory.exitCode, 2);
  assert.match(memory.stderr, /^twinboard: the host has too little memory for two boards/);
  // Every missing thing is told, not the first alone.
  assert.match(memory.stdout, /this host has no user nosuchuser/);

  const noPrograms = await runCommand(
    ["serve", "--config", config],
    { PATH: "/bin/nothing" },
    (command, args) => [process.execPath, [command.replace("bin/twinboard", "src/main.ts"), ...args]],
  );
  assert.match(
    noPrograms.stderr,
    /^twinboard: a program is missing on this host: bridge \(Debian package iproute2\), conntrack \(Debian package conntrack\), flock/,
  );

  const nobody = await runCommand(["serve", "--config", config], {}, (command, args) => [
    // With the one capability that lets it read this checkout, wherever it lies.
    "setpriv",
    [...otherUser, "--inh-caps", "+dac_override", "--ambient-caps", "+dac_override", command, ...args],
  ]);
  assert.equal(nobody.exitCode, 2, nobody.stderr);
  assert.match(nobody.stderr, /^twinboard: this needs root: twinboard serve\n/);
});

test("mistakes in the configuration: all of them, as editors read them", async (t) => {
  const own = await mkdtemp(join(tmpdir(), "twinboard-config-"));
  t.after(() => rm(own, { recursive: true }));
  const file = join(own, "bad.yaml");
  await writeFile(file, configuration("up0").replace("64MiB", "64").replace("name: web", "nmae: web"));
  const bad = await runCommand(["serve", "--config", file]);
  assert.equal(bad.exitCode, 2);
  const [first, ...lines] = bad.stderr.trimEnd().split("\n");
  assert.equal(first, "twinboard: the configuration is not valid: 3 mistakes");
  assert.deepEqual(
    lines.slice(0, -1).map((line) => line.slice(0, line.indexOf(": ", file.length))),
    [`${file}:5:19`, `${file}:8:5`, `${file}:8:7`],
  );
});

async function coresOfBoards(): Promise<unknown> {
  const { boards } = JSON.parse((await ask("status", "--json")).stdout) as Status;
  return [boards.a.confinement.cores, boards.b.confinement.cores];
}

test(
  "place: the file is read again, cores that are not there are refused, and the rest of it waits",
  withRoot,
  async () => {
    const daemon = await serving();
    const text = configuration(link.card);
    // Where this test is held itself, the daemon is.
    const own = ownCores();
    const all = own === null ? null : coreListText(own);
    try {
      assert.deepEqual(await coresOfBoards(), [all, all]);
      await writeFile(config, `${text}placement: { cores: { a: "0", b: [0] } }\n`);
      const placed = await ask("place");
      assert.equal(placed.exitCode, 0, placed.stderr);
      assert.equal(placed.stdout, "Board a uses cores 0.\nBoard b uses cores 0.\n");
      assert.deepEqual(await coresOfBoards(), ["0", "0"]);
      await writeFile(config, `${text}placement: { cores: { a: "4000" } }\n`);
      const refused = await ask("place");
      assert.equal(refused.exitCode, 2);
      assert.match(refused.stderr, /\.yaml:\d+:\d+: placement\.cores\.a: this host has no core 4000/);
      assert.deepEqual(await coresOfBoards(), ["0", "0"], "nothing was moved");
      await writeFile(config, text.replace("64MiB", "65MiB"));
      const told = new RegExp(
        `^Board a uses ${all === null ? "all cores" : `cores ${all}`}\\.\\n.*\\nOther parts of the file have changed`,
      );
      assert.match((await ask("place")).stdout, told);
      assert.deepEqual(await coresOfBoards(), [all, all]);
    } finally {
      await writeFile(config, text);
      await ask("down");
      await daemon.ended;
    }
  },
);
