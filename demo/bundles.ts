/** The demo's software: four versions as signed bundles, and a fifth to play with. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { createBundle } from "../src/bundle/create.ts";
import { type BuiltImage, buildImages } from "./images/build.ts";
import type { BoardKind, ImageVersion } from "./images/rootfs.ts";
import type { SigningKey } from "./signing-key.ts";

export const compatible = "twinboard-demo";

/** The defect of 3.0.0 shows some seconds after it has taken the service over; 4.0.0 does not come so far. */
export const versions = {
  first: { version: "1.0.0" },
  good: { version: "2.0.0" },
  bad: { version: "3.0.0", unhealthyAfterSeconds: 3 },
  silent: { version: "4.0.0", misspelt: true },
  corrected: { version: "3.1.0" },
} as const satisfies Record<string, ImageVersion>;

const cacheDirectory = join(import.meta.dirname, "../.cache");

/** Builds the images, or finds them in the cache. Needs no root. Errors: as `buildImages`. */
export async function demoImages(
  log: (line: string) => void,
  kind: BoardKind = "qemu",
): Promise<BuiltImage[]> {
  return await buildImages({ versions: Object.values(versions), kind, cacheDirectory, log });
}

/** Builds an image and writes its bundle; the bundle alone is left in `directory`. Returns its path. */
export async function ownBundle(
  software: string | ImageVersion,
  signing: SigningKey,
  directory: string,
  signal: AbortSignal,
  kind: BoardKind = "qemu",
): Promise<string> {
  const image = typeof software === "string" ? { version: software } : software;
  const of = { versions: [image], kind, cacheDirectory, rootfsDirectory: directory, log: () => undefined };
  const [built] = await buildImages(of);
  if (built === undefined) throw new Error(`no image of version ${image.version} was built`);
  const bundle = await demoBundle(built, signing, directory, signal);
  await rm(built.images.rootfs);
  return bundle;
}

/** One software for machines and containers: the same version, its root file system once for each kind. */
export function forBothKinds(machine: BuiltImage, container: BuiltImage): BuiltImage {
  return {
    version: machine.version,
    images: { ...machine.images, "rootfs-container": container.images.rootfs },
    kernelArguments: machine.kernelArguments,
    meta: { kinds: "qemu;container;", "kernel-arguments-container": container.kernelArguments },
  };
}

/** Path of the bundle of a version. */
export type Bundles = (of: { readonly version: string }) => string;

/** Writes a bundle of each image into `directory`. Errors: as `createBundle`. */
export async function demoBundles(
  images: readonly BuiltImage[],
  signing: SigningKey,
  directory: string,
  signal: AbortSignal,
): Promise<Bundles> {
  const paths = new Map<string, string>();
  for (const image of images) paths.set(image.version, await demoBundle(image, signing, directory, signal));
  return ({ version }) => {
    const path = paths.get(version);
    if (path === undefined) throw new Error(`no image of version ${version} was built`);
    return path;
  };
}

/** Writes a bundle into `directory`; returns its path. Errors: as `createBundle`. */
export async function demoBundle(
  image: BuiltImage,
  signing: SigningKey,
  directory: string,
  signal: AbortSignal,
): Promise<string> {
  const output = join(directory, `v${image.version}.raucb`);
  await createBundle({
    output,
    cert: signing.cert,
    key: signing.key,
    manifest: {
      compatible,
      version: image.version,
      meta: { twinboard: { "kernel-arguments": image.kernelArguments, ...image.meta } },
    },
    images: image.images,
    signal,
  });
  return output;
}
