/**
 * Debian packages as a source of files: fetched by apt-get(8), unpacked below the cache, never installed
 * (installing nginx would start a server on this machine).
 */
import { existsSync } from "node:fs";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { readFileIfThere, writeFileAtomically } from "../../src/system/files.ts";
import { run } from "../../src/system/process.ts";

const downloadTimeoutMs = 300_000;

/** Debian's names of architectures. */
export type DebianArchitecture = "amd64" | "arm64";

/** Package name → directory that holds its files, named by package and version. */
export type UnpackedPackages = Readonly<Record<string, string>>;

/**
 * Fetches and unpacks these packages and what nothing else of them pulls in: no dependencies are followed.
 * What was fetched once stays as it is; remove the cache directory to take newer versions.
 * Errors: `missing-program`, `command-failed` (apt-get's own words), `deadline-passed`.
 */
export async function debianPackages(
  names: readonly string[],
  cacheDirectory: string,
  log: (line: string) => void,
  architecture: DebianArchitecture = "amd64",
): Promise<UnpackedPackages> {
  const directory = join(cacheDirectory, "debian");
  const listFile = join(
    directory,
    `${names.join("+")}${isForeign(architecture) ? `.${architecture}` : ""}.json`,
  );
  const known = await readFileIfThere(listFile);
  const located = (unpacked: Readonly<Record<string, string>>): UnpackedPackages =>
    Object.fromEntries(Object.entries(unpacked).map(([name, folder]) => [name, join(directory, folder)]));
  if (known !== undefined) {
    const packages = located(JSON.parse(known) as Record<string, string>);
    if (Object.values(packages).every((path) => existsSync(path))) return packages;
  }
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
  return located(unpacked);
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
  const name = await withPackageLists(directory, architecture, async (lists) => {
    const { stdout } = await run("apt-cache", [...lists, "depends", "--important", metaPackage]);
    const found = /Depends: (linux-image-\S+)/.exec(stdout.toString())?.[1];
    if (found === undefined) throw new Error(`apt knows no kernel that ${metaPackage} depends on`);
    return found;
  });
  await mkdir(directory, { recursive: true });
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
