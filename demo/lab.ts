/** The demo's lab: a device, an outside with its clients, and a directory for all that is only this lab's. */
import { chmod, cp, lstat, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { DormancyDepth } from "../src/board/depth.ts";
import { processStartTicks } from "../src/system/host.ts";
import { run } from "../src/system/process.ts";
import {
  addIpv6,
  isLeftover,
  link,
  makeNamespaces,
  type Namespace,
  type Namespaces,
  ownName,
} from "../test/fixtures/namespaces.ts";
import { type ServiceAddress, serviceAddresses } from "./addresses.ts";
import { compatible } from "./bundles.ts";
import { Device, program } from "./device.ts";
import type { BoardKind } from "./images/rootfs.ts";
import { makeSigningKey, type SigningKey } from "./signing-key.ts";

export const drainMs = 8000;
export const boardMemoryMiB = 128;

const purpose = "demo";
const configFile = "demo.yaml";
const downTimeoutMs = 60_000;

export interface Lab extends AsyncDisposable {
  /** The system's name: this process's own, so that two labs do not meet on one host. */
  readonly system: string;
  readonly namespaces: Namespaces;
  readonly signing: SigningKey;
  /** Where bundles and everything else of this lab lie; removed with it. */
  readonly directory: string;
  readonly kind: BoardKind;
  readonly socket: string;
  readonly device: Device;
  /** Restarts the daemon with these settings changed; nobody who is served notices. */
  configure(settings: Partial<LabSettings>, signal: AbortSignal): Promise<void>;
  /** Copies what a failure can be explained by (the daemon's log, journal, consoles) to a directory that stays; returns its path. */
  keepLogs(): Promise<string>;
  /** The device's connections as conntrack(8) lists them, without those that have ended (`TIME_WAIT`); so many at most that somebody reads them. */
  openFlows(): Promise<string[]>;
}

/** What differs from lab to lab, as the configuration takes it. */
export interface LabSettings {
  readonly kind: BoardKind;
  /** `boards.kind` where it is more than one for both, such as `[container, qemu]`. */
  readonly kinds?: string;
  readonly dormancy: DormancyDepth;
  readonly failover: boolean;
  /** The one core of the host that both boards share; `null`: all. */
  readonly core: number | null;
  readonly probation: string;
  readonly bootTimeout: string;
  /** How often a board is booted before the story gives up. */
  readonly attempts: number;
  /** How long the web server's connections are quiet before a drain takes them for idle. */
  readonly quietMs: number;
  /** Services besides the web server's, each as a line of the configuration. */
  readonly services: readonly string[];
}

const usual: LabSettings = {
  kind: "qemu",
  dormancy: "warm",
  failover: true,
  core: null,
  probation: "10s",
  bootTimeout: "60s",
  attempts: 2,
  // Longer than the pauses within a download, which nginx limits by sending once a second.
  quietMs: 3000,
  services: [],
};

/** Makes the lab, and starts its daemon. What an earlier lab left whose process was killed is removed first. */
export async function openLab(signal: AbortSignal, settings: Partial<LabSettings> = {}): Promise<Lab> {
  await using partial = new AsyncDisposableStack();
  const namespaces = partial.use(await makeNamespaces(purpose));
  await addIpv6(namespaces);
  await removeLeftovers(namespaces.device);
  const directory = join(tmpdir(), await ownName(purpose));
  await mkdir(directory);
  partial.defer(async () => await rm(directory, { recursive: true, force: true }));
  // Boards run as a user of their own, who must reach their images.
  await chmod(directory, 0o755);
  const signing = await makeSigningKey(directory);
  const config = join(directory, configFile);
  const system = `demo-${process.pid}-${await processStartTicks(process.pid)}`;
  const write = async (changes: Partial<LabSettings>): Promise<void> =>
    await writeFile(config, configuration(system, directory, signing, { ...usual, ...settings, ...changes }));
  await write({});
  const socket = join(directory, "twinboard.sock");
  const log = join(directory, "daemon.log");
  const device = partial.use(await Device.start(namespaces.device, { config, socket, log }, signal));
  const made = partial.move();
  return {
    system,
    namespaces,
    signing,
    directory,
    kind: settings.kind ?? usual.kind,
    socket,
    device,
    configure: async (changes, signal) => {
      await write(changes);
      await device.restartDaemon(signal);
    },
    keepLogs: async () => await keepLogs(directory),
    openFlows: async () => await openFlows(namespaces.device),
    [Symbol.asyncDispose]: async () => await made.disposeAsync(),
  };
}

const mostFlows = 40;

async function openFlows(device: Namespace): Promise<string[]> {
  const lines: string[] = [];
  for (const family of ["ipv4", "ipv6"]) {
    const { stdout } = await run(...device.enter("conntrack", ["-L", "-p", "tcp", "-f", family]));
    lines.push(...stdout.toString().split("\n"));
  }
  return lines.filter((line) => line !== "" && !line.includes("TIME_WAIT")).slice(0, mostFlows);
}

async function keepLogs(directory: string): Promise<string> {
  const kept = await mkdtemp(join(tmpdir(), "twinboard-logs-"));
  const wanted = /^(daemon\.log|state|journal|.*\.(console|qemu|container|jsonl|json))$/;
  await cp(directory, kept, {
    recursive: true,
    filter: (path) => path === directory || path.includes("/journal/") || wanted.test(basename(path)),
  });
  return kept;
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

function configuration(
  system: string,
  directory: string,
  signing: SigningKey,
  { kind, kinds, dormancy, failover, core, probation, bootTimeout, attempts, quietMs, services }: LabSettings,
): string {
  return `system: ${system}
compatible: ${compatible}
state-directory: ${directory}/state
trust: { keyring: ${signing.keyring} }
boards: { kind: ${kinds ?? kind}, memory: ${boardMemoryMiB}MiB, dormancy: ${dormancy} }
${core === null ? "" : `placement: { cores: { a: [${core}], b: [${core}] } }\n`}network: { mode: routed, uplink: ${link.card} }
services:
${[...serviceAddresses.map((one) => serviceLine(one, quietMs)), ...services].join("\n")}
health:
  - { name: web, http: ":80/healthz", interval: 200ms, timeout: 1s, failures: 3 }
upgrade: { boot-timeout: ${bootTimeout}, verify-timeout: 30s, probation: ${probation}, attempts: ${attempts} }
failover: ${failover}
`;
}

function serviceLine({ name, address }: ServiceAddress, quietMs: number): string {
  return `  - { name: ${name}, protocol: tcp, address: "${address}", port: 80, drain: ${drainMs}ms, quiet: ${quietMs}ms }`;
}
