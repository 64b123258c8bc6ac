/** The demo's lab: a device in a network namespace, with the real daemon and the real command, and an outside with its clients. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, open, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { run } from "../src/system/process.ts";
import type { JournalRecord } from "../src/upgrade/record.ts";
import type { StoryResult, SystemStatus } from "../src/upgrade/status.ts";
import {
  isLeftover,
  link,
  makeNamespaces,
  type Namespace,
  type Namespaces,
  ownName,
} from "../test/fixtures/namespaces.ts";
import { compatible } from "./bundles.ts";
import { makeSigningKey, type SigningKey } from "./signing-key.ts";

export const program = resolve(import.meta.dirname, "../bin/twinboard");
export const serviceAddress = "198.51.100.10";
export const drainMs = 8000;

/** Of the command: nothing was changed. */
const rejectedExitCode = 2;
const startTimeoutMs = 60_000;
const upgradeTimeoutMs = 180_000;
const downTimeoutMs = 60_000;

export interface Lab extends AsyncDisposable {
  readonly namespaces: Namespaces;
  readonly signing: SigningKey;
  /** Where bundles and everything else of this lab lie; removed with it. */
  readonly directory: string;
  readonly socket: string;
  status(signal: AbortSignal): Promise<SystemStatus>;
  /** Runs `twinboard upgrade BUNDLE` to its end, whatever that is; `onRecord` sees the journal's records as they come. */
  upgrade(
    bundle: string,
    onRecord: (record: JournalRecord) => void,
    signal: AbortSignal,
  ): Promise<StoryResult>;
}

/** Makes the lab, and starts its daemon. What an earlier lab left whose process was killed is removed first. */
export async function openLab(signal: AbortSignal): Promise<Lab> {
  await using partial = new AsyncDisposableStack();
  const namespaces = partial.use(await makeNamespaces("demo"));
  await removeLeftovers();
  const directory = join(tmpdir(), await ownName("demo"));
  await mkdir(directory);
  partial.defer(async () => await rm(directory, { recursive: true, force: true }));
  // Boards run as a user of their own, who must reach their images.
  await chmod(directory, 0o755);
  const signing = await makeSigningKey(directory);
  const config = join(directory, "demo.yaml");
  await writeFile(config, configuration(directory, signing));
  const socket = join(directory, "twinboard.sock");
  partial.use(await startDaemon(namespaces, config, socket, join(directory, "daemon.log"), signal));
  const made = partial.move();
  return {
    namespaces,
    signing,
    directory,
    socket,
    status: async (signal) => await status(socket, signal),
    upgrade: async (bundle, onRecord, signal) => await upgrade(socket, bundle, onRecord, signal),
    [Symbol.asyncDispose]: async () => await made.disposeAsync(),
  };
}

async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(tmpdir()))
    if (await isLeftover(name)) await rm(join(tmpdir(), name), { recursive: true, force: true });
}

function configuration(directory: string, signing: SigningKey): string {
  return `system: demo
compatible: ${compatible}
state-directory: ${directory}/state
trust: { keyring: ${signing.keyring} }
boards: { kind: qemu, accelerator: auto, memory: 128MiB }
network: { mode: routed, uplink: ${link.card} }
services:
  - { name: web, protocol: tcp, address: ${serviceAddress}, port: 80, drain: ${drainMs}ms }
health:
  - { name: web, http: ":80/healthz", interval: 200ms, timeout: 1s, failures: 3 }
upgrade: { boot-timeout: 60s, verify-timeout: 30s, probation: 10s }
`;
}

/** `twinboard serve` inside the device; disposing of it is `twinboard down`, after which it ends by itself. */
async function startDaemon(
  { device }: Namespaces,
  config: string,
  socket: string,
  logFile: string,
  signal: AbortSignal,
): Promise<AsyncDisposable> {
  const [command, args] = device.enter(program, ["serve", "--config", config, "--socket", socket]);
  await using log = await open(logFile, "a");
  // A group of its own: Ctrl-C in the terminal is for the demo, which ends the daemon in its turn.
  const child = spawn(command, args, { stdio: ["ignore", log.fd, log.fd], detached: true });
  const ended = once(child, "exit");
  ended.catch(() => undefined);
  const running = (): boolean => child.exitCode === null && child.signalCode === null;
  const end = async (): Promise<void> => {
    if (!running()) return;
    try {
      await takeDown(device, socket, config);
      await Promise.race([ended, sleep(downTimeoutMs, undefined, { ref: false })]);
    } finally {
      child.kill("SIGKILL");
    }
  };
  try {
    const deadline = performance.now() + startTimeoutMs;
    while (!(await answers(socket, signal))) {
      if (!running() || performance.now() > deadline)
        throw new Error(`the daemon does not serve:\n${await readFile(logFile, "utf8")}`);
      await sleep(100, undefined, { signal });
    }
  } catch (error) {
    await end();
    throw error;
  }
  return { [Symbol.asyncDispose]: end };
}

/** `twinboard down`, and before it `cancel`, because nothing is taken down in the middle of a story. */
async function takeDown(device: Namespace, socket: string, config: string): Promise<void> {
  const deadline = performance.now() + downTimeoutMs;
  await run(program, ["cancel", "--socket", socket], { allowedExitCodes: [1, rejectedExitCode, 3] });
  for (;;) {
    const [command, args] = device.enter(program, ["down", "--socket", socket, "--config", config]);
    const { exitCode, stderr } = await run(command, args, {
      timeoutMs: downTimeoutMs,
      allowedExitCodes: [rejectedExitCode],
    });
    if (exitCode === 0) return;
    if (performance.now() > deadline) throw new Error(`the lab cannot be taken down: ${stderr}`);
    await sleep(200);
  }
}

async function answers(socket: string, signal: AbortSignal): Promise<boolean> {
  const args = ["status", "--json", "--socket", socket];
  const { exitCode } = await run(program, args, { signal, allowedExitCodes: [1, 2, 3] });
  return exitCode === 0;
}

async function status(socket: string, signal: AbortSignal): Promise<SystemStatus> {
  const { stdout } = await run(program, ["status", "--json", "--socket", socket], { signal });
  return JSON.parse(stdout.toString()) as SystemStatus;
}

async function upgrade(
  socket: string,
  bundle: string,
  onRecord: (record: JournalRecord) => void,
  signal: AbortSignal,
): Promise<StoryResult> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(upgradeTimeoutMs)]);
  const child = spawn(program, ["upgrade", bundle, "--json", "--socket", socket], {
    stdio: ["ignore", "pipe", "ignore"],
    signal: limit,
  });
  const ended = once(child, "close");
  let result: StoryResult | undefined;
  let last = "";
  const lines = createInterface({ input: child.stdout });
  lines.on("line", (line) => {
    last = line;
    const said = JSON.parse(line) as { record?: JournalRecord; result?: StoryResult };
    if (said.record !== undefined) onRecord(said.record);
    result ??= said.result;
  });
  await ended;
  if (result === undefined) throw new Error(`twinboard upgrade ended without a result: ${last}`);
  return result;
}
