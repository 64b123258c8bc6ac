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
): Promise<UnpackedPackages> {
  const directory = join(cacheDirectory, "debian");
  const listFile = join(directory, `${names.join("+")}.json`);
  const known = await readFileIfThere(listFile);
  const located = (unpacked: Readonly<Record<string, string>>): UnpackedPackages =>
    Object.fromEntries(Object.entries(unpacked).map(([name, folder]) => [name, join(directory, folder)]));
  if (known !== undefined) {
    const packages = located(JSON.parse(known) as Record<string, string>);
    if (Object.values(packages).every((path) => existsSync(path))) return packages;
  }
  log(`fetching Debian packages (not installed): ${names.join(", ")}`);
  const incoming = join(directory, "incoming");
  await rm(incoming, { recursive: true, force: true });
  await mkdir(incoming, { recursive: true });
  await download(names, incoming, join(directory, "apt"));
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

/** The kernel package that the meta package depends on at this moment: `linux-image-6.1.0-56-cloud-amd64`. */
export async function kernelPackage(metaPackage: string, cacheDirectory: string): Promise<string> {
  const listFile = join(cacheDirectory, "debian", `${metaPackage}.name`);
  const known = await readFileIfThere(listFile);
  if (known !== undefined) return known;
  const { stdout } = await run("apt-cache", ["depends", "--important", metaPackage]);
  const name = /Depends: (linux-image-\S+)/.exec(stdout.toString())?.[1];
  if (name === undefined) throw new Error(`apt-cache knows no kernel for ${metaPackage}: run apt-get update`);
  await mkdir(join(cacheDirectory, "debian"), { recursive: true });
  await writeFileAtomically(listFile, name, 0o644);
  return name;
}

/** With the machine's package lists; if they are missing or too old, once more with fresh lists of our own. */
async function download(names: readonly string[], directory: string, aptDirectory: string): Promise<void> {
  // As root apt fetches as user _apt, who may not write to a directory of ours.
  const options = ["-q", "-o", "APT::Sandbox::User=root"];
  const fetch = async (more: readonly string[]): Promise<unknown> =>
    await run("apt-get", [...options, ...more, "download", ...names], {
      cwd: directory,
      timeoutMs: downloadTimeoutMs,
    });
  try {
    await fetch([]);
  } catch {
    await mkdir(join(aptDirectory, "lists/partial"), { recursive: true });
    const own = [
      "-o",
      `Dir::State::Lists=${join(aptDirectory, "lists")}`,
      "-o",
      `Dir::Cache=${aptDirectory}`,
    ];
    await run("apt-get", [...options, ...own, "update"], { timeoutMs: downloadTimeoutMs });
    await fetch(own);
  }
}
