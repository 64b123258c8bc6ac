/** Builds what the demo's and the tests' boards boot, from Debian packages and the files beside this one. Needs no root. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename } from "node:fs/promises";
import { basename, join } from "node:path";
import { writeFileAtomically } from "../../src/system/files.ts";
import { debianPackages, kernelPackage } from "./debian.ts";
import { echoesDigest } from "./echoes.ts";
import { buildInitrd } from "./initrd.ts";
import { buildRootfs, type ImageVersion } from "./rootfs.ts";

export interface BuiltImage {
  readonly version: string;
  /** Absolute paths, by image class of the manifest. */
  readonly images: { readonly kernel: string; readonly initrd: string; readonly rootfs: string };
  /** For `[meta.twinboard]` of the bundle. */
  readonly kernelArguments: string;
}

export const kernelArguments = "console=ttyS0 quiet panic=0";

const metaPackage = "linux-image-cloud-amd64";
const rootfsPackages = [
  "nginx",
  "libnginx-mod-stream",
  "libc6",
  "libcrypt1",
  "libpcre2-8-0",
  "libssl3",
  "zlib1g",
  "busybox-static",
];

/**
 * Builds one set of images for each version, or finds it in the cache by what it is made of.
 * Repeatable: the same packages and files give the same bytes. Errors: as `debianPackages`.
 */
export async function buildImages(options: {
  readonly versions: readonly ImageVersion[];
  readonly cacheDirectory: string;
  /** Where the root file systems go; in the cache if it is left out. */
  readonly rootfsDirectory?: string;
  readonly log: (line: string) => void;
}): Promise<BuiltImage[]> {
  const { versions, cacheDirectory, rootfsDirectory, log } = options;
  if (process.arch !== "x64")
    throw new Error(`the demo's images are for x86-64 hosts, this is ${process.arch}`);
  const kernelName = await kernelPackage(metaPackage, cacheDirectory);
  const packages = await debianPackages([kernelName, ...rootfsPackages], cacheDirectory, log);
  const ours = await sourceDigest();
  const kernelDirectory = packages[kernelName] ?? "";
  const directory = join(cacheDirectory, "images");
  await mkdir(directory, { recursive: true });
  /** Path of what `build` makes of these ingredients; made now if it is not there. */
  const made = async (
    name: string,
    ingredients: unknown,
    build: (target: string) => Promise<void>,
    within = directory,
  ): Promise<string> => {
    const digest = createHash("sha256")
      .update(JSON.stringify([ours, ingredients]))
      .digest("hex");
    const target = join(within, `${name}-${digest.slice(0, 16)}`);
    if (existsSync(target)) return target;
    log(`building ${name}`);
    const partial = `${target}.${process.pid}.partial`;
    await build(partial);
    await rename(partial, target);
    return target;
  };
  const kernel = join(kernelDirectory, "boot", kernelName.replace("linux-image", "vmlinuz"));
  const initrd = await made("initrd", [basename(kernelDirectory)], async (target) => {
    const busybox = join(packages["busybox-static"] ?? "", "bin/busybox");
    await writeFileAtomically(target, await buildInitrd(kernelDirectory, busybox), 0o644);
  });
  const packageNames = rootfsPackages.map((name) => basename(packages[name] ?? ""));
  const built: BuiltImage[] = [];
  for (const image of versions) {
    const added = image.echoes === true ? [await echoesDigest()] : [];
    const rootfs = await made(
      `rootfs-${image.version}`,
      [image, packageNames, ...added],
      async (target) => await buildRootfs(image, packages, `${target}.stage`, target),
      rootfsDirectory,
    );
    built.push({ version: image.version, images: { kernel, initrd, rootfs }, kernelArguments });
  }
  return built;
}

/** Digest of the kit, of the files that go into the images, and of the programs that make them. */
async function sourceDigest(): Promise<string> {
  const hash = createHash("sha256");
  for (const directory of [import.meta.dirname, join(import.meta.dirname, "../../kit")]) {
    const entries = await readdir(directory, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile() && !entry.name.endsWith(".test.ts"));
    for (const path of files.map((entry) => join(entry.parentPath, entry.name)).toSorted()) {
      hash.update(`${path.slice(directory.length)}\0`).update(await readFile(path));
    }
  }
  return hash.digest("hex");
}
