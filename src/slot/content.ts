/** What of a bundle goes into a slot, whatever the slot is made of. */
import { imagesFor, kernelArgumentsFor } from "../bundle/board-kinds.ts";
import type { SignedBundle } from "../bundle/bundle.ts";
import { TwinboardError } from "../errors.ts";
import { chooseKind, type KindRules } from "./kind.ts";
import type { Accepted, SlotContent } from "./slot.ts";

/**
 * What of the bundle a slot takes that holds `capacityBytes`: the images of the kind that its board becomes.
 * Errors: `bundle-kind-refused`; `bundle-too-large`, `bundle-manifest-invalid` (a class that no slot has, or no image of one that the board needs).
 */
export function acceptedOf(
  { manifest }: Pick<SignedBundle, "manifest">,
  capacityBytes: number,
  rules: KindRules,
): Accepted {
  const kind = chooseKind(manifest, rules);
  const images = imagesFor(manifest.images, kind);
  const bytes = images.reduce((sum, image) => sum + image.sizeBytes, 0);
  if (bytes > capacityBytes)
    throw new TwinboardError("bundle-too-large", {
      detail: `${bytes} bytes of images, the slot holds ${capacityBytes}`,
    });
  return { kind, images, bytes };
}

/** What the story remembers of an installation. `pathOf` gives the absolute path of a class. */
export function slotContent(
  { digest, manifest }: SignedBundle,
  { kind, images }: Accepted,
  pathOf: (label: string) => string,
): SlotContent {
  return {
    version: manifest.version,
    digest,
    kind,
    images: Object.fromEntries(images.map((image) => [image.class, pathOf(image.class)])),
    sha256: Object.fromEntries(images.map((image) => [image.class, image.sha256])),
    kernelArguments: kernelArgumentsFor(manifest, kind),
  };
}
