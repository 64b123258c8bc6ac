/** The demo's lab: a device, an outside with its clients, and a directory for all that is only this lab's. */
import { chmod, lstat, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { processStartTicks } from "../src/system/host.ts";
import { run } from "../src/system/process.ts";
import {
  isLeftover,
  link,
  makeNamespaces,
  type Namespace,
  type Namespaces,
  ownName,
} from "../test/fixtures/namespaces.ts";
import { compatible } from "./bundles.ts";
import { Device, program } from "./device.ts";
import { makeSigningKey, type SigningKey } from "./signing-key.ts";

export const serviceAddress = "198.51.100.10";
export const drainMs = 8000;

const purpose = "demo";
const configFile = "demo.yaml";
const downTimeoutMs = 60_000;

export interface Lab extends AsyncDisposable {
  readonly namespaces: Namespaces;
  readonly signing: SigningKey;
  /** Where bundles and everything else of this lab lie; removed with it. */
  readonly directory: string;
  readonly socket: string;
  readonly device: Device;
}

/**
 * Makes the lab, and starts its daemon. What an earlier lab left whose process was killed is removed first.
 * @param probation as the configuration takes it.
 */
export async function openLab(signal: AbortSignal, probation = "10s"): Promise<Lab> {
  await using partial = new AsyncDisposableStack();
  const namespaces = partial.use(await makeNamespaces(purpose));
  await removeLeftovers(namespaces.device);
  const directory = join(tmpdir(), await ownName(purpose));
  await mkdir(directory);
  partial.defer(async () => await rm(directory, { recursive: true, force: true }));
  // Boards run as a user of their own, who must reach their images.
  await chmod(directory, 0o755);
  const signing = await makeSigningKey(directory);
  const config = join(directory, configFile);
  await writeFile(config, await configuration(directory, signing, probation));
  const socket = join(directory, "twinboard.sock");
  const log = join(directory, "daemon.log");
  const device = partial.use(await Device.start(namespaces.device, { config, socket, log }, signal));
  const made = partial.move();
  return {
    namespaces,
    signing,
    directory,
    socket,
    device,
    [Symbol.asyncDispose]: async () => await made.disposeAsync(),
  };
}

/** Of demos whose processes were killed: what their systems still have on this host, and their directories. */
async function removeLeftovers(device: Namespace): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    if (!name.endsWith(`-${purpose}`) || !(await isLeftover(name))) continue;
    const directory = join(tmpdir(), name);
    // The directory is everybody's to write to: what is not ours is not believed.
    if ((await lstat(directory)).uid !== process.getuid?.()) continue;
    const [command, args] = device.enter(program, ["down", "--config", join(directory, configFile)]);
    // It may have been killed before there was a configuration.
    await run(command, args, { timeoutMs: downTimeoutMs, allowedExitCodes: [1, 2, 3] });
    await rm(directory, { recursive: true, force: true });
  }
}

/** The system's name is this process's own, so that two demos do not meet on one host. */
async function configuration(directory: string, signing: SigningKey, probation: string): Promise<string> {
  return `system: demo-${process.pid}-${await processStartTicks(process.pid)}
compatible: ${compatible}
state-directory: ${directory}/state
trust: { keyring: ${signing.keyring} }
boards: { kind: qemu, accelerator: auto, memory: 128MiB }
network: { mode: routed, uplink: ${link.card} }
services:
  - { name: web, protocol: tcp, address: ${serviceAddress}, port: 80, drain: ${drainMs}ms }
health:
  - { name: web, http: ":80/healthz", interval: 200ms, timeout: 1s, failures: 3 }
upgrade: { boot-timeout: 60s, verify-timeout: 30s, probation: ${probation} }
`;
}
