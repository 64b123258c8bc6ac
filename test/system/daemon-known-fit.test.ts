/** When the real daemon asks the host whether it is fit: before all else on a first start, and after what was left is taken up once it has been found fit. */
import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { bootId } from "../../src/system/host.ts";
import { systemNames } from "../../src/system/names.ts";
import { unknownFacts } from "../../src/upgrade/facts.ts";
import { openJournal } from "../../src/upgrade/journal.ts";
import { type CommandRun, type Command as Running, runCommand, startCommand } from "../fixtures/command.ts";
import { link, makeNamespaces, type Namespaces } from "../fixtures/namespaces.ts";

const system = `test-known-fit-${process.pid}`;
const { runDirectory } = systemNames(system);
const withRoot = { skip: process.geteuid?.() === 0 ? false : "needs root to make network namespaces" };
const main = join(import.meta.dirname, "../../src/main.ts");

let directory: string;
let namespaces: Namespaces;
let config: string;
let socket: string;

before(async () => {
  if (withRoot.skip !== false) return;
  directory = await mkdtemp(join(tmpdir(), "twinboard-known-fit-"));
  await chmod(directory, 0o755);
  config = join(directory, "system.yaml");
  socket = join(directory, "api.sock");
  namespaces = await makeNamespaces("known-fit");
  await writeFile(config, configuration("64MiB"));
});
afterEach(async () => {
  if (withRoot.skip === false) await ask("down", "--config", config);
});
after(async () => {
  if (withRoot.skip !== false) return;
  await namespaces.remove();
  await rm(directory, { recursive: true });
  await rm(runDirectory, { recursive: true, force: true });
});

const configuration = (memory: string): string => `system: ${system}
compatible: test
state-directory: ${directory}/state
trust: { keyring: keyring.pem }
boards: { memory: ${memory}, accelerator: tcg }
network: { uplink: ${link.card} }
services:
  - { name: web, protocol: tcp, address: 198.51.100.10, port: 80 }
`;

const enter = (command: string, args: readonly string[]): [string, string[]] =>
  namespaces.device.enter(command, args);
const ask = async (...args: string[]): Promise<CommandRun> =>
  await runCommand([...args, "--socket", socket], {}, enter);
const start = (env: Readonly<Record<string, string>> = {}): Running =>
  startCommand(["serve", "--config", config, "--socket", socket], env, enter);

/** A daemon that found the host fit and was killed. */
async function killedDaemon(): Promise<void> {
  const daemon = start();
  await daemon.said("notice serving");
  process.kill(Number(await readFile(join(runDirectory, "lock"), "utf8")), "SIGKILL");
  await assert.rejects(daemon.ended, /SIGKILL/);
}

/** An environment in which a program by which the host is asked, and nothing else is done, is this script. */
async function asking(script: string): Promise<Readonly<Record<string, string>>> {
  const programs = join(directory, "programs");
  await mkdir(programs, { recursive: true });
  await writeFile(join(programs, "unshare"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return { PATH: `${programs}:${process.env["PATH"] ?? ""}` };
}

/** Looks until it sees something. Errors: it has not within 20 seconds. */
async function until<Seen>(look: () => Promise<Seen | undefined>): Promise<Seen> {
  const deadline = AbortSignal.timeout(20_000);
  for (;;) {
    const seen = await look().catch(() => undefined);
    if (seen !== undefined) return seen;
    deadline.throwIfAborted();
    await new Promise(setImmediate);
  }
}

/** As a daemon leaves it that is killed when the dormant board is about to be woken. */
async function beginFailover(): Promise<string> {
  const journal = await openJournal(join(directory, "state", "journal"));
  const story = "000001-failover";
  const common = { boot: await bootId(), story, kind: "failover", at: Date.now() } as const;
  const data = { ...unknownFacts, from: "b", to: "a" };
  await journal.append({ ...common, phase: null, event: "story-began", data });
  await journal.append({ ...common, phase: "boot", event: "phase-began", data: {} });
  await journal.close();
  return story;
}

test("what a killed daemon had begun is taken up before the host is asked again", withRoot, async () => {
  await killedDaemon();
  const story = await beginFailover();
  const asked = join(directory, "asked");
  // It keeps what the journal said when it was asked first, and gives no answer.
  const daemon = start(
    await asking(
      `cp ${directory}/state/journal/${story}.jsonl ${asked}.new && mv -n ${asked}.new ${asked}; sleep 600`,
    ),
  );
  await daemon.said("notice serving");
  const records = (await until(async () => await readFile(asked, "utf8"))).trim().split("\n");
  const events = records.map((record) => (JSON.parse(record) as { event: string }).event);
  assert.deepEqual([events[2], events.at(-1)], ["recovered", "story-ended"]);
  assert.equal((await ask("status")).exitCode, 0, "it serves while the host gives no answer");
  daemon.kill("SIGTERM");
  assert.equal((await daemon.ended).exitCode, 0, "and nobody waits for one when it ends");
});

test(
  "what the host has come to lack is told, and ends no daemon; one that cannot start says it too",
  withRoot,
  async () => {
    await killedDaemon();
    const unfit = await asking("exit 1");
    const daemon = start(unfit);
    await daemon.said(/error \/dev\/net\/tun: .*no tap can be made/);
    assert.equal((await ask("status")).exitCode, 0);
    daemon.kill("SIGTERM");
    assert.equal((await daemon.ended).exitCode, 0);

    const nothing = ["PATH=/bin/nothing", process.execPath, main, "serve", "--config", config];
    const { exitCode, stderr } = await runCommand([], {}, () => enter("env", nothing));
    assert.equal(exitCode, 2);
    assert.match(
      stderr,
      /^twinboard: a program is missing on this host: bridge \(Debian package iproute2\), conntrack/,
    );
  },
);

test(
  "a first start is refused: on a host that no daemon has used, of another configuration, after `down`",
  withRoot,
  async () => {
    const unfit = await asking("exit 1");
    const refused = async (): Promise<void> => {
      const { exitCode, stderr } = await start(unfit).ended;
      assert.equal(exitCode, 2);
      assert.match(stderr, /^twinboard: .*no tap can be made/);
    };
    await refused();
    await killedDaemon();
    try {
      await writeFile(config, configuration("65MiB"));
      await refused();
    } finally {
      await writeFile(config, configuration("64MiB"));
    }
    assert.equal((await ask("down", "--config", config)).exitCode, 0);
    await refused();
  },
);

test(
  "a host of which there is a note alone, and nothing that was made, is asked first",
  withRoot,
  async () => {
    await killedDaemon();
    const note = await readFile(join(runDirectory, "fit"), "utf8");
    assert.equal((await ask("down", "--config", config)).exitCode, 0);
    await mkdir(runDirectory, { recursive: true, mode: 0o700 });
    await writeFile(join(runDirectory, "fit"), note);
    const { exitCode, stderr } = await start(await asking("exit 1")).ended;
    assert.equal(exitCode, 2);
    assert.match(stderr, /^twinboard: .*no tap can be made/);
  },
);

test(
  "a daemon keeps what Node compiled of it while it runs, for the one that follows when it is killed",
  withRoot,
  async () => {
    const compiled = join(directory, "compiled");
    const daemon = start({ NODE_COMPILE_CACHE: compiled });
    const kept = async (): Promise<true | undefined> =>
      (await readdir(compiled, { recursive: true })).length > 100 ? true : undefined;
    await until(kept);
    daemon.kill("SIGTERM");
    await daemon.ended;
  },
);
