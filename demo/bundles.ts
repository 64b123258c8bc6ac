/** The demo's software: three versions as signed bundles, and a fourth to play with. */
import { join } from "node:path";
import { createBundle } from "../src/bundle/create.ts";
import { type BuiltImage, buildImages } from "./images/build.ts";
import type { ImageVersion } from "./images/rootfs.ts";
import type { SigningKey } from "./signing-key.ts";

export const compatible = "twinboard-demo";

/** 3.0.0 is the bad one; its only defect shows some seconds after it has taken the service over. */
export const versions = {
  first: { version: "1.0.0" },
  good: { version: "2.0.0" },
  bad: { version: "3.0.0", unhealthyAfterSeconds: 3 },
  corrected: { version: "3.1.0" },
} as const satisfies Record<string, ImageVersion>;

const cacheDirectory = join(import.meta.dirname, "../.cache");

/** Builds the images, or finds them in the cache. Needs no root. Errors: as `buildImages`. */
export async function demoImages(log: (line: string) => void): Promise<BuiltImage[]> {
  return await buildImages({ versions: Object.values(versions), cacheDirectory, log });
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
      meta: { twinboard: { "kernel-arguments": image.kernelArguments } },
    },
    images: image.images,
    signal,
  });
  return output;
}
