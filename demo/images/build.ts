/** Builds what the demo's and the tests' boards boot, from Debian packages and the files beside this one. Needs no root. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename } from "node:fs/promises";
import { basename, join } from "node:path";
import { writeFileAtomically } from "../../src/system/files.ts";
import { debianPackages, kernelPackage } from "./debian.ts";
import { echoesDigest } from "./echoes.ts";
import { buildInitrd } from "./initrd.ts";
import { type BoardKind, buildRootfs, type ImageVersion } from "./rootfs.ts";

export interface BuiltImage {
  readonly version: string;
  /** Absolute paths, by image class of the manifest. A container boots the root file system alone. */
  readonly images: { readonly rootfs: string; readonly [name: string]: string };
  /** For `[meta.twinboard]` of the bundle. */
  readonly kernelArguments: string;
  /** Its other keys. */
  readonly meta?: Readonly<Record<string, string>>;
}

const kernelArguments: Readonly<Record<BoardKind, string>> = {
  qemu: "console=ttyS0 quiet panic=0",
  container: "quiet",
};

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
  /** Machines if it is left out. */
  readonly kind?: BoardKind;
  readonly cacheDirectory: string;
  /** Where the root file systems go; in the cache if it is left out. */
  readonly rootfsDirectory?: string;
  readonly log: (line: string) => void;
}): Promise<BuiltImage[]> {
  const { versions, kind = "qemu", cacheDirectory, rootfsDirectory, log } = options;
  if (process.arch !== "x64")
    throw new Error(`the demo's images are for x86-64 hosts, this is ${process.arch}`);
  const kernelName = kind === "qemu" ? await kernelPackage(metaPackage, cacheDirectory) : undefined;
  const names = [...(kernelName === undefined ? [] : [kernelName]), ...rootfsPackages];
  const packages = await debianPackages(names, cacheDirectory, log);
  const ours = await sourceDigest();
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
  /** What a machine boots besides: nothing of it in a container. */
  const booted = async (name: string): Promise<{ readonly kernel: string; readonly initrd: string }> => {
    const kernelDirectory = packages[name] ?? "";
    const initrd = await made("initrd", [basename(kernelDirectory)], async (target) => {
      const busybox = join(packages["busybox-static"] ?? "", "bin/busybox");
      await writeFileAtomically(target, await buildInitrd(kernelDirectory, busybox), 0o644);
    });
    return { kernel: join(kernelDirectory, "boot", name.replace("linux-image", "vmlinuz")), initrd };
  };
  const besides = kernelName === undefined ? {} : await booted(kernelName);
  const packageNames = rootfsPackages.map((name) => basename(packages[name] ?? ""));
  const built: BuiltImage[] = [];
  for (const image of versions) {
    const added = image.echoes === true ? [await echoesDigest()] : [];
    const rootfs = await made(
      `rootfs-${image.version}`,
      [image, kind, packageNames, ...added],
      async (target) => await buildRootfs(image, kind, packages, `${target}.stage`, target),
      rootfsDirectory,
    );
    const { version } = image;
    built.push({ version, images: { ...besides, rootfs }, kernelArguments: kernelArguments[kind] });
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
