/**
 * Debian packages as a source of files: fetched by apt-get(8), unpacked below the cache, never installed
 * (installing nginx would start a server on this machine).
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { TwinboardError } from "../../src/errors.ts";
import { readFileIfThere, writeFileAtomically } from "../../src/system/files.ts";
import { takeLock } from "../../src/system/lock.ts";
import { run } from "../../src/system/process.ts";

const downloadTimeoutMs = 300_000;

/** Debian's names of architectures. */
export type DebianArchitecture = "amd64" | "arm64";

/** Package name → directory that holds its files, named by package and version. */
export type UnpackedPackages = Readonly<Record<string, string>>;

/**
 * Fetches and unpacks these packages and what nothing else of them pulls in: no dependencies are followed.
 * What was fetched once stays as it is; remove the cache directory to take newer versions.
 * Errors: `missing-program`, `command-failed` (apt-get's own words), `deadline-passed`,
 * `already-running` (another fills this cache, and does not end).
 */
export async function debianPackages(
  names: readonly string[],
  cacheDirectory: string,
  log: (line: string) => void,
  architecture: DebianArchitecture = "amd64",
): Promise<UnpackedPackages> {
  const directory = join(cacheDirectory, "debian");
  const foreign = isForeign(architecture) ? `.${architecture}` : "";
  const listFile = join(directory, `${names.join("+")}${foreign}.json`);
  const found = async (): Promise<UnpackedPackages | undefined> => {
    const known = await readFileIfThere(listFile);
    if (known === undefined) return undefined;
    const folders = Object.entries(JSON.parse(known) as Record<string, string>);
    const packages = Object.fromEntries(folders.map(([name, folder]) => [name, join(directory, folder)]));
    return Object.values(packages).every((path) => existsSync(path)) ? packages : undefined;
  };
  const fetched = async (): Promise<UnpackedPackages> => {
    const meanwhile = await found();
    if (meanwhile !== undefined) return meanwhile;
    await fetch({ names, architecture, directory, listFile, log });
    const packages = await found();
    if (packages === undefined) throw new Error(`not all of ${names.join(", ")} is below ${directory}`);
    return packages;
  };
  return (await found()) ?? (await alone(directory, fetched));
}

async function fetch(of: {
  readonly names: readonly string[];
  readonly architecture: DebianArchitecture;
  readonly directory: string;
  readonly listFile: string;
  readonly log: (line: string) => void;
}): Promise<void> {
  const { names, architecture, directory, listFile, log } = of;
  log(`fetching Debian packages (not installed): ${names.join(", ")}`);
  const incoming = join(directory, isForeign(architecture) ? `incoming.${architecture}` : "incoming");
  await rm(incoming, { recursive: true, force: true });
  await mkdir(incoming, { recursive: true });
  await download(names, directory, incoming, architecture);
  const unpacked: Record<string, string> = {};
  for (const file of await readdir(incoming)) {
    const name = file.split("_", 1)[0] ?? file;
    const folder = file.replace(/\.deb$/, "");
    const target = join(directory, folder);
    if (!existsSync(target)) {
      const partial = `${target}.partial`;
      await rm(partial, { recursive: true, force: true });
      await run("dpkg-deb", ["-x", join(incoming, file), partial], { timeoutMs: 60_000 });
      await rename(partial, target);
    }
    unpacked[name] = folder;
  }
  await rm(incoming, { recursive: true });
  await writeFileAtomically(listFile, JSON.stringify(unpacked, null, 2), 0o644);
}

/** What others that fill the same cache at this moment must not disturb: the whole waits for them. */
async function alone<T>(directory: string, action: () => Promise<T>): Promise<T> {
  // Boards run as users of their own, who must reach what is in it.
  await mkdir(directory, { recursive: true });
  const deadline = performance.now() + 2 * downloadTimeoutMs;
  for (;;) {
    try {
      const lock = await takeLock([join(directory, "lock")]);
      try {
        return await action();
      } finally {
        await lock.release();
      }
    } catch (error) {
      const held = error instanceof TwinboardError && error.code === "already-running";
      if (!held || performance.now() > deadline) throw error;
      await sleep(200);
    }
  }
}

/**
 * The archives of these packages and of all that they depend on, as if nothing were installed: what a whole system is unpacked from.
 * Fetched once, as `debianPackages`. Absolute paths. Errors: as `debianPackages`.
 */
export async function debianArchives(
  names: readonly string[],
  cacheDirectory: string,
  log: (line: string) => void,
): Promise<readonly string[]> {
  const directory = join(cacheDirectory, "debian");
  const digest = createHash("sha256").update(names.join("\n")).digest("hex").slice(0, 16);
  const target = join(directory, `archives-${digest}`);
  if (!existsSync(target))
    await alone(directory, async () => {
      if (existsSync(target)) return;
      log(`fetching Debian packages (not installed), with what they depend on: ${names.join(", ")}`);
      const incoming = join(directory, "incoming.archives");
      await rm(incoming, { recursive: true, force: true });
      await mkdir(join(incoming, "partial"), { recursive: true });
      await withPackageLists(directory, "amd64", async (lists) => {
        const nothing = ["-o", "Dir::State::status=/dev/null", "-o", "Debug::NoLocking=1"];
        const place = ["-o", `Dir::Cache::archives=${incoming}`];
        const verb = ["--no-install-recommends", "--download-only", "-y", "install"];
        const args = [...fetchOptions, ...lists, ...nothing, ...place, ...verb, ...names];
        await run("apt-get", args, { timeoutMs: downloadTimeoutMs });
      });
      await rename(incoming, target);
    });
  const files = (await readdir(target)).filter((name) => name.endsWith(".deb"));
  return files.toSorted().map((name) => join(target, name));
}

/** The kernel package that the meta package depends on at this moment: `linux-image-6.1.0-56-cloud-amd64`. Errors: as `debianPackages`. */
export async function kernelPackage(
  metaPackage: string,
  cacheDirectory: string,
  architecture: DebianArchitecture = "amd64",
): Promise<string> {
  const directory = join(cacheDirectory, "debian");
  const nameFile = join(directory, `${metaPackage}.name`);
  const known = await readFileIfThere(nameFile);
  if (known !== undefined) return known;
  const name = await alone(
    directory,
    async () =>
      await withPackageLists(directory, architecture, async (lists) => {
        const { stdout } = await run("apt-cache", [...lists, "depends", "--important", metaPackage]);
        const found = /Depends: (linux-image-\S+)/.exec(stdout.toString())?.[1];
        if (found === undefined) throw new Error(`apt knows no kernel that ${metaPackage} depends on`);
        return found;
      }),
  );
  await writeFileAtomically(nameFile, name, 0o644);
  return name;
}

/** As root apt fetches as user _apt, who may not write to a directory of ours. */
const fetchOptions = ["-q", "-o", "APT::Sandbox::User=root"];

async function download(
  names: readonly string[],
  directory: string,
  target: string,
  architecture: DebianArchitecture,
): Promise<void> {
  await withPackageLists(directory, architecture, async (lists) => {
    const args = [...fetchOptions, ...lists, "download", ...names];
    await run("apt-get", args, { cwd: target, timeoutMs: downloadTimeoutMs });
  });
}

/**
 * With the machine's package lists; if that fails, they may be missing or too old: once more with fresh ones of our own. Another
 * architecture's are always our own: the machine is not to know of it.
 */
async function withPackageLists<T>(
  directory: string,
  architecture: DebianArchitecture,
  action: (options: readonly string[]) => Promise<T>,
): Promise<T> {
  const foreign = isForeign(architecture);
  try {
    if (!foreign) return await action([]);
    return await action(await ownLists(join(directory, `apt-${architecture}`), architecture));
  } catch {
    const apt = join(directory, foreign ? `apt-${architecture}` : "apt");
    const own = await ownLists(apt, foreign ? architecture : undefined);
    await run("apt-get", [...fetchOptions, ...own, "update"], { timeoutMs: downloadTimeoutMs });
    return await action(own);
  }
}

/** apt-get's options for lists below a directory. @param foreign the architecture that they are of, if not the machine's. */
async function ownLists(apt: string, foreign: DebianArchitecture | undefined): Promise<readonly string[]> {
  await mkdir(join(apt, "lists/partial"), { recursive: true });
  const own = [`Dir::State::Lists=${join(apt, "lists")}`, `Dir::Cache=${apt}`];
  // What is installed here is of another architecture: nothing of it counts.
  const other = [
    `APT::Architecture=${foreign}`,
    `APT::Architectures=${foreign}`,
    "Dir::State::status=/dev/null",
  ];
  return [...own, ...(foreign === undefined ? [] : other)].flatMap((option) => ["-o", option]);
}

function isForeign(architecture: DebianArchitecture): boolean {
  return architecture !== (process.arch === "arm64" ? "arm64" : "amd64");
}
