/** What a configuration needs of its host: every missing thing, each with its remedy, before anything is touched. */
import { access, constants, mkdir, statfs } from "node:fs/promises";
import { totalmem } from "node:os";
import { delimiter, join } from "node:path";
import { TwinboardError } from "../errors.ts";
import { findUser } from "../system/accounts.ts";
import { cards } from "../system/ip.ts";
import type { Config } from "./config.ts";

/** Program → the Debian package that brings it. */
const programs: Readonly<Record<string, string>> = {
  conntrack: "conntrack",
  flock: "util-linux",
  getent: "libc-bin",
  ionice: "util-linux",
  ip: "iproute2",
  nft: "nftables",
  openssl: "openssl",
  "qemu-system-x86_64": "qemu-system-x86",
  setpriv: "util-linux",
  unsquashfs: "squashfs-tools",
};

/** What QEMU needs for itself and, under emulation, for its translated code, for each board. */
const overheadBytes = 112 * 1024 * 1024;
/** For the journal, the consoles and `system.json`; bundles and slots are measured when they are written. */
const leastFreeBytes = 16 * 1024 * 1024;

const mebi = (bytes: number): string => `${Math.floor(bytes / 1024 ** 2)} MiB`;

async function isInstalled(program: string): Promise<boolean> {
  for (const directory of (process.env["PATH"] ?? "").split(delimiter)) {
    try {
      await access(join(directory, program), constants.X_OK);
      return true;
    } catch {
      // Then in the next directory.
    }
  }
  return false;
}

async function missingPrograms(): Promise<string | undefined> {
  const missing: string[] = [];
  for (const [program, debianPackage] of Object.entries(programs))
    if (!(await isInstalled(program))) missing.push(`${program} (Debian package ${debianPackage})`);
  return missing.length === 0 ? undefined : missing.join(", ");
}

async function freeBytes(directory: string): Promise<number> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}

/**
 * Everything that this host lacks for the configuration; empty if it lacks nothing. Makes the state directory.
 * Codes: `need-root` (then nothing else is looked at), `missing-program`, `missing-card`, `too-little-memory`, `too-little-disk`,
 * `config-invalid` (the user).
 */
export async function missingOnHost(config: Config): Promise<TwinboardError[]> {
  if (process.geteuid?.() !== 0) return [new TwinboardError("need-root", { detail: "twinboard serve" })];
  const found: TwinboardError[] = [];
  const lack = (code: ConstructorParameters<typeof TwinboardError>[0], detail: string): void =>
    void found.push(new TwinboardError(code, { detail }));

  const programs = await missingPrograms();
  if (programs !== undefined) lack("missing-program", programs);

  const { uplink } = config.network;
  if ((await isInstalled("ip")) && !(await cards()).has(uplink))
    lack("missing-card", `${uplink}, the uplink of ${config.file}`);

  const { memoryBytes, user } = config.boards;
  const neededBytes = 2 * (memoryBytes + overheadBytes);
  if (neededBytes > totalmem())
    lack("too-little-memory", `they need ${mebi(neededBytes)}, the host has ${mebi(totalmem())}`);

  const disk = await freeBytes(config.stateDirectory);
  if (disk < leastFreeBytes)
    lack(
      "too-little-disk",
      `${config.stateDirectory} has ${mebi(disk)} free, ${mebi(leastFreeBytes)} are needed`,
    );

  if ((await isInstalled("getent")) && (await findUser(user)) === undefined)
    lack("config-invalid", `${config.file}: boards.user: this host has no user ${user}`);
  return found;
}
