/** A slot that is a directory: a file for each image class. */
import type { FileHandle } from "node:fs/promises";
import { lstat, mkdir, rm, statfs } from "node:fs/promises";
import { join, resolve } from "node:path";
import { imageClasses } from "../bundle/board-kinds.ts";
import type { ManifestImage, SignedBundle } from "../bundle/bundle.ts";
import { openBundle } from "../bundle/file.ts";
import { checkPayload, imageContent } from "../bundle/payload.ts";
import { TwinboardError } from "../errors.ts";
import { syncDirectory } from "../system/files.ts";
import { acceptedOf, slotContent } from "./content.ts";
import { readBackImage, writeImage } from "./image-file.ts";
import { type KindRules, machinesAlone } from "./kind.ts";
import type { Accepted, InstallProgress, Slot, SlotContent } from "./slot.ts";

export class DirectorySlot implements Slot {
  readonly #directory: string;
  readonly #capacityBytes: number;
  readonly #rules: KindRules;

  /** The directory is the slot's alone, and is made when it is missing. @param rules what the board may be that boots from it. */
  constructor(directory: string, capacityBytes: number, rules: KindRules = machinesAlone) {
    this.#rules = rules;
    this.#directory = resolve(directory);
    this.#capacityBytes = capacityBytes;
  }

  async accept(bundle: SignedBundle): Promise<Accepted> {
    const accepted = acceptedOf(bundle, this.#capacityBytes, this.#rules);
    await this.#makeRoomFor(accepted.bytes);
    return accepted;
  }

  /** Progress counts each byte three times: checked in the bundle, written, read back. A bundle that does not hold is found before anything is written. */
  async install(
    bundle: SignedBundle,
    onProgress: (progress: InstallProgress) => void,
    signal: AbortSignal,
  ): Promise<SlotContent> {
    signal.throwIfAborted();
    const accepted = await this.accept(bundle);
    const { images } = accepted;
    const totalBytes = bundle.payloadBytes + 2 * accepted.bytes;
    let bytes = 0;
    const add = (more: number): void => {
      bytes += more;
      onProgress({ bytes, totalBytes });
    };
    const { file } = await openBundle(bundle.path);
    try {
      const before = await changeMark(file, bundle);
      await checkPayload(file, bundle, (checked) => add(checked - bytes), signal);
      await this.#writeImages(file, images, add, signal);
      if ((await changeMark(file, bundle)) !== before)
        throw new TwinboardError("bundle-payload-corrupt", {
          detail: `${bundle.path} was changed while it was read`,
        });
    } finally {
      await file.close();
    }
    for (const image of images) await readBackImage(this.#pathOf(image.class), image.sha256, add, signal);
    return slotContent(bundle, accepted, (label) => this.#pathOf(label));
  }

  #pathOf(label: string): string {
    return join(this.#directory, label);
  }

  /** What is in the slot now goes first, so its room counts as free. */
  async #makeRoomFor(imageBytes: number): Promise<void> {
    try {
      await mkdir(this.#directory, { recursive: true });
      const { bavail, bsize } = await statfs(this.#directory);
      let freeBytes = bavail * bsize;
      for (const label of imageClasses) {
        const there = await lstat(this.#pathOf(label)).catch(() => undefined);
        freeBytes += (there?.blocks ?? 0) * 512;
      }
      if (freeBytes >= imageBytes) return;
      throw new TwinboardError("too-little-disk", {
        detail: `${imageBytes} bytes of images, ${freeBytes} are free under ${this.#directory}`,
      });
    } catch (cause) {
      if (cause instanceof TwinboardError) throw cause;
      throw new TwinboardError("slot-write-failed", { detail: (cause as Error).message, cause });
    }
  }

  async #writeImages(
    file: FileHandle,
    images: readonly ManifestImage[],
    onBytes: (bytes: number) => void,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      // Every class, so that nothing of the last bundle stays beside the new one; never through a link.
      for (const label of imageClasses) await rm(this.#pathOf(label), { force: true });
      await syncDirectory(this.#directory);
    } catch (cause) {
      throw new TwinboardError("slot-write-failed", { detail: (cause as Error).message, cause });
    }
    for (const image of images)
      await writeImage(this.#pathOf(image.class), imageContent(file, image, signal), onBytes, signal);
    await syncDirectory(this.#directory);
  }
}

/**
 * Changes whenever anybody writes to the file. What was checked and what unsquashfs reads are the same bytes as long as nobody else can
 * write the file, which delivery sees to; this and the images' own SHA-256 catch who could.
 */
async function changeMark(file: FileHandle, bundle: SignedBundle): Promise<string> {
  const { uid, mode, size, mtimeNs, ctimeNs } = await file.stat({ bigint: true });
  const mine = uid === 0n || uid === BigInt(process.geteuid?.() ?? 0);
  if (!mine || (mode & 0o022n) !== 0n)
    throw new TwinboardError("bundle-unreadable", {
      detail: `${bundle.path}: others could change it while it is read`,
    });
  return [size, mtimeNs, ctimeNs].join(" ");
}
