/**
 * For which kinds of boards a bundle's images are, and which image is for which. A class by its plain name (`rootfs`) is for every kind that
 * needs one; with a kind behind it (`rootfs-container`) it is for that kind alone, and comes before the plain one. To RAUC they are classes
 * like any other.
 */
import { type BoardKind, boardKinds, kindWords } from "../board/kind.ts";
import { TwinboardError } from "../errors.ts";
import type { Manifest, ManifestImage } from "./bundle.ts";

/** The classes that a slot has a place for. */
export const imageClasses = ["kernel", "initrd", "rootfs"] as const;
type ImageClass = (typeof imageClasses)[number];

/** What a board of each kind boots, and without what it does not. */
const classesOf: Readonly<Record<BoardKind, Readonly<Partial<Record<ImageClass, "needed" | "optional">>>>> = {
  qemu: { kernel: "needed", initrd: "optional", rootfs: "needed" },
  container: { rootfs: "needed" },
};

const invalid = (detail: string): TwinboardError => new TwinboardError("bundle-manifest-invalid", { detail });

/**
 * What `kinds` of `[meta.twinboard]` says, a list as RAUC's manifests have them (`qemu;container;`); `undefined` if it says nothing.
 * Errors: `bundle-manifest-invalid` (what is no kind, or none at all).
 */
export function kindsOf({ meta }: Pick<Manifest, "meta">): readonly BoardKind[] | undefined {
  const said = meta["twinboard"]?.["kinds"];
  if (said === undefined) return undefined;
  const names = said
    .split(";")
    .map((name) => name.trim())
    .filter((name, index, all) => name !== "" || index < all.length - 1);
  const kinds = names.map((name) => {
    const kind = boardKinds.find((known) => known === name);
    if (kind === undefined)
      throw invalid(
        `[meta.twinboard] kinds: ${JSON.stringify(name)} is no kind of board, only ${boardKinds.join(", ")}`,
      );
    return kind;
  });
  if (kinds.length === 0) throw invalid(`[meta.twinboard] kinds names none of ${boardKinds.join(", ")}`);
  return [...new Set(kinds)];
}

/**
 * The images that a board of this kind boots, each with its plain class. The others of the bundle are left where they are.
 * Errors: `bundle-manifest-invalid` (a class that no slot has, or no image of one that the board needs).
 */
export function imagesFor(images: readonly ManifestImage[], kind: BoardKind): readonly ManifestImage[] {
  const stranger = images.find(({ class: label }) => !isKnown(label));
  if (stranger !== undefined)
    throw invalid(
      `a slot has no class ${stranger.class}, only ${imageClasses.join(", ")}, and these with a kind behind them (rootfs-container)`,
    );
  return imageClasses.flatMap((label) => {
    const need = classesOf[kind][label];
    if (need === undefined) return [];
    const own = images.find((image) => image.class === `${label}-${kind}`);
    const image = own ?? images.find((other) => other.class === label);
    if (image !== undefined) return [{ ...image, class: label }];
    if (need === "needed")
      throw invalid(`it has no image of class ${label}, which a board that is ${kindWords[kind]} needs`);
    return [];
  });
}

/** Of a bundle that is being made: what it says of kinds is so. Errors: as the two above. */
export function checkKinds(manifest: Pick<Manifest, "meta" | "images">): void {
  for (const kind of kindsOf(manifest) ?? []) imagesFor(manifest.images, kind);
}

/** `kernel-arguments-KIND` of `[meta.twinboard]`, else `kernel-arguments`, which are for both. */
export function kernelArgumentsFor({ meta }: Pick<Manifest, "meta">, kind: BoardKind): string {
  const own = meta["twinboard"] ?? {};
  return own[`kernel-arguments-${kind}`] ?? own["kernel-arguments"] ?? "";
}

function isKnown(label: string): boolean {
  return boardKinds.some((kind) =>
    Object.keys(classesOf[kind]).some((known) => label === known || label === `${known}-${kind}`),
  );
}
