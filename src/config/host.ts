/** What a configuration needs of its host whatever drivers it names: programs, the user, memory, room, cores. Changes nothing. */
import { access, constants, readFile, statfs } from "node:fs/promises";
import { totalmem } from "node:os";
import { dirname } from "node:path";
import type { BoardKind } from "../board/kind.ts";
import { findUser } from "../system/accounts.ts";
import { doubtful, type Finding, fine, lacking, unseen } from "../system/finding.ts";
import { hostCores } from "../system/host-cores.ts";
import { memoryCeiling } from "../system/memory-group.ts";
import { isInstalled } from "../system/programs.ts";
import { type Config, placeText } from "./config.ts";
import { placementFindings } from "./placement-findings.ts";

/** Program → the Debian package that brings it. */
const programs: Readonly<Record<string, string>> = {
  bridge: "iproute2",
  conntrack: "conntrack",
  flock: "util-linux",
  getent: "libc-bin",
  ionice: "util-linux",
  ip: "iproute2",
  mkfifo: "coreutils",
  mount: "mount",
  nft: "nftables",
  nsenter: "util-linux",
  openssl: "openssl",
  setpriv: "util-linux",
  socat: "socat",
  ss: "iproute2",
  stty: "coreutils",
  taskset: "util-linux",
  tee: "coreutils",
  unshare: "util-linux",
  unsquashfs: "squashfs-tools",
};

/** Besides those, of boards that are machines, by their architecture; what runs containers is looked for by itself. */
const machinePrograms: Readonly<Record<"x86-64" | "arm64", Readonly<Record<string, string>>>> = {
  "x86-64": { "qemu-system-x86_64": "qemu-system-x86" },
  arm64: { "qemu-system-aarch64": "qemu-system-arm" },
};
const containerPrograms: Readonly<Record<string, string>> = { tc: "iproute2" };

/** What QEMU needs for itself and, under emulation, for its translated code, for each board. */
const overheadBytes = 112 * 1024 * 1024;
/** For the journal, the consoles and `system.json`; bundles and slots are measured when they are written. */
const leastFreeBytes = 16 * 1024 * 1024;

const mebi = (bytes: number): string => `${Math.floor(bytes / 1024 ** 2)} MiB`;

/**
 * @param daemon process that serves the system, whose cores count, or *self*. Boards may run already then, and have their memory; `null`: none does.
 */
export async function hostFindings(config: Config, daemon: number | "self" | null): Promise<Finding[]> {
  return [
    rights(),
    await programFinding(config),
    await memoryFinding(config, daemon !== null),
    await roomFinding(config),
    await userFinding(config),
    ...placementFindings(config, await hostCores(daemon ?? "self")),
  ];
}

function rights(): Finding {
  if (process.geteuid?.() === 0) return fine("user", "root, as the daemon must be");
  return unseen(
    "user",
    "the daemon runs as root, and this does not: not all was looked at",
    "run this as root",
  );
}

/** How many of the two boards may be of this kind. */
function countOf(kind: BoardKind, { boards: { kinds } }: Config): number {
  return [kinds.a, kinds.b].filter((allowed) => allowed.includes(kind)).length;
}

async function programFinding(config: Config): Promise<Finding> {
  const architecture = config.boards.architecture ?? (process.arch === "arm64" ? "arm64" : "x86-64");
  const needed = {
    ...programs,
    ...(countOf("qemu", config) > 0 ? machinePrograms[architecture] : {}),
    ...(countOf("container", config) > 0 ? containerPrograms : {}),
  };
  const missing: [program: string, debianPackage: string][] = [];
  for (const [program, debianPackage] of Object.entries(needed))
    if (!(await isInstalled(program))) missing.push([program, debianPackage]);
  if (missing.length === 0) return fine("PATH", `all ${Object.keys(needed).length} programs are there`);
  const told = missing.map(([program, debianPackage]) => `${program} (Debian package ${debianPackage})`);
  const packages = [...new Set(missing.map(([, debianPackage]) => debianPackage))].join(" ");
  return lacking("PATH", "missing-program", told.join(", "), `on Debian: apt-get install ${packages}`);
}

async function userFinding(config: Config): Promise<Finding> {
  const { user } = config.boards;
  const where = "boards.user";
  if (!(await isInstalled("getent")))
    return unseen(where, `${user} was not looked for without getent`, "install libc-bin");
  const found = await findUser(user);
  if (found === undefined) {
    const remedy = `make it (useradd --system ${user}), or name another`;
    const detail = `${placeText(config, where)}: this host has no user ${user}`;
    return lacking(where, "config-invalid", detail, remedy);
  }
  if (found.uid === 0)
    return doubtful(
      where,
      countOf("qemu", config) > 0 ? "QEMU would run as root" : "root is nobody to give devices to",
      "name an unprivileged user of its own",
    );
  return fine(where, `${user} is user ${found.uid}`);
}

async function memoryFinding(config: Config, serving: boolean): Promise<Finding> {
  const where = "boards.memory";
  const needed = 2 * config.boards.memoryBytes + countOf("qemu", config) * overheadBytes;
  const both = `two boards need ${mebi(needed)}`;
  if (needed > totalmem())
    return lacking(where, "too-little-memory", `they need ${mebi(needed)}, the host has ${mebi(totalmem())}`);
  const ceiling = await memoryCeiling({ level: countOf("qemu", config) > 0 ? "own" : "top" });
  if (ceiling !== undefined && needed > ceiling)
    return lacking(
      where,
      "too-little-memory",
      `they need ${mebi(needed)}, and the control group that theirs are below may have ${mebi(ceiling)}`,
      "raise that group's limit (of a service of systemd: MemoryMax=), or lower boards.memory",
    );
  const meminfo = await readFile("/proc/meminfo", "utf8").catch(() => "");
  const available = Number(/^MemAvailable:\s+(\d+) kB$/m.exec(meminfo)?.[1] ?? Number.NaN) * 1024;
  if (!serving && available < needed)
    return doubtful(
      where,
      `${both}, and ${mebi(available)} are available now`,
      "end other programs, or lower boards.memory",
    );
  return fine(
    where,
    serving ? `${both}, and have what they need` : `${both}, ${mebi(available)} are available`,
  );
}

async function roomFinding({ stateDirectory, boards: { slotBytes } }: Config): Promise<Finding> {
  const where = "state-directory";
  const there = await nearest(stateDirectory);
  const { bavail, bsize } = await statfs(there);
  const free = bavail * bsize;
  const has = `${stateDirectory} has ${mebi(free)} free`;
  if (free < leastFreeBytes)
    return lacking(where, "too-little-disk", `${has}, ${mebi(leastFreeBytes)} are needed`);
  if (process.geteuid?.() === 0 && !(await allows(there, constants.W_OK)))
    return lacking(
      where,
      "config-invalid",
      `${there} cannot be written to`,
      "name a directory on a disk that can",
    );
  if (free < slotBytes)
    return doubtful(
      where,
      `${has}, a slot may take ${mebi(slotBytes)}`,
      "free space, or lower boards.slots.size",
    );
  return fine(where, has);
}

/** The directory itself, or the one above it that exists. */
async function nearest(directory: string): Promise<string> {
  for (let at = directory; at !== dirname(at); at = dirname(at))
    if (await allows(at, constants.F_OK)) return at;
  return "/";
}

async function allows(path: string, mode: number): Promise<boolean> {
  return await access(path, mode).then(
    () => true,
    () => false,
  );
}
