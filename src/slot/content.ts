/** What of a bundle goes into a slot, whatever the slot is made of. */
import type { ManifestImage, SignedBundle } from "../bundle/bundle.ts";
import { TwinboardError } from "../errors.ts";
import type { SlotContent } from "./slot.ts";

/** The classes that a board can boot; a file of the slot has its class as its name, and none from the manifest. */
export const imageClasses = ["kernel", "initrd", "rootfs"] as const;
/** Without these none of that kind boots. */
export const neededClasses = { qemu: ["kernel", "rootfs"], container: ["rootfs"] } as const;
type NeededClasses = (typeof neededClasses)[keyof typeof neededClasses];

/**
 * The sum of the images' sizes, if all of them have a place in a slot that holds `capacityBytes`.
 * Errors: `bundle-too-large`, `bundle-manifest-invalid` (a class that no slot has, or no image of one that every board needs).
 */
export function contentBytes(
  images: readonly ManifestImage[],
  capacityBytes: number,
  neededBy: NeededClasses = neededClasses.qemu,
): number {
  const stranger = images.find(({ class: label }) => !imageClasses.some((known) => known === label));
  if (stranger !== undefined) {
    throw new TwinboardError("bundle-manifest-invalid", {
      detail: `a slot has no class ${stranger.class}, only ${imageClasses.join(", ")}`,
    });
  }
  const missing = neededBy.find((needed) => !images.some(({ class: label }) => label === needed));
  if (missing !== undefined) {
    throw new TwinboardError("bundle-manifest-invalid", {
      detail: `it has no image of class ${missing}, which a board needs`,
    });
  }
  const bytes = images.reduce((sum, image) => sum + image.sizeBytes, 0);
  if (bytes > capacityBytes)
    throw new TwinboardError("bundle-too-large", {
      detail: `${bytes} bytes of images, the slot holds ${capacityBytes}`,
    });
  return bytes;
}

/** What the story remembers of an installation. `pathOf` gives the absolute path of a class. */
export function slotContent(bundle: SignedBundle, pathOf: (label: string) => string): SlotContent {
  const { images, version, meta } = bundle.manifest;
  return {
    version,
    digest: bundle.digest,
    images: Object.fromEntries(images.map((image) => [image.class, pathOf(image.class)])),
    sha256: Object.fromEntries(images.map((image) => [image.class, image.sha256])),
    kernelArguments: meta["twinboard"]?.["kernel-arguments"] ?? "",
  };
}
