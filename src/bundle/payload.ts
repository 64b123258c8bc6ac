/** A bundle's payload: checked block by block against the signed tree, and the images in it. */
import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { TwinboardError } from "../errors.ts";
import { inBackground } from "../system/background.ts";
import { outputOf } from "../system/output.ts";
import type { ManifestImage, SignedBundle } from "./bundle.ts";
import { openBundle } from "./file.ts";
import { blockBytes, readExactly, TreeChecker } from "./verity.ts";

export interface PayloadProgress {
  readonly bytes: number;
  readonly totalBytes: number;
}

const stepBytes = 256 * blockBytes;

/**
 * Reads the whole payload and checks each block against the signed tree (docs/bundles.md, step 8). Needs about 1 MiB of memory. Repeatable.
 * Errors: `bundle-payload-corrupt`, `bundle-truncated`, `bundle-unreadable`; the signal's reason.
 */
export async function verifyPayload(
  bundle: SignedBundle,
  onProgress: (progress: PayloadProgress) => void,
  signal: AbortSignal,
): Promise<void> {
  const { file } = await openBundle(bundle.path);
  try {
    await checkPayload(
      file,
      bundle,
      (bytes) => onProgress({ bytes, totalBytes: bundle.payloadBytes }),
      signal,
    );
  } finally {
    await file.close();
  }
}

/** As `verifyPayload`, of a file that is open already. `onProgress` gets the bytes checked so far. */
export async function checkPayload(
  file: FileHandle,
  bundle: SignedBundle,
  onProgress: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const { payloadBytes } = bundle;
  const { verity } = bundle.manifest;
  if (verity === undefined)
    throw new TwinboardError("bundle-format-refused", {
      detail: `${bundle.manifest.format} has no hash tree`,
    });
  const checker = new TreeChecker(payloadBytes / blockBytes, verity, async (position) => {
    const block = Buffer.alloc(blockBytes);
    await readBundle(file, block, payloadBytes + position);
    return block;
  });
  const step = Buffer.alloc(stepBytes);
  for (let position = 0; position < payloadBytes; ) {
    signal.throwIfAborted();
    const blocks = step.subarray(0, Math.min(stepBytes, payloadBytes - position));
    await readBundle(file, blocks, position);
    await checker.check(position / blockBytes, blocks);
    position += blocks.length;
    onProgress(position);
  }
}

async function readBundle(file: FileHandle, into: Buffer, position: number): Promise<void> {
  try {
    await readExactly(file, into, position);
  } catch (cause) {
    if (cause instanceof TwinboardError) throw cause;
    throw new TwinboardError("bundle-unreadable", { detail: (cause as Error).message, cause });
  }
}

/** unsquashfs keeps 256 MiB for each queue if not told otherwise. */
const smallQueues = ["-processors", "1", "-data-queue", "8", "-frag-queue", "8"];

/**
 * Gives the bytes of one image of a payload that `checkPayload` has passed; ends in an error unless their number and SHA-256 are
 * those of the signed manifest, so nothing may be done with them before the end that could not be undone.
 * Errors: `bundle-payload-corrupt`, `missing-program`; the signal's reason.
 */
export async function* imageContent(
  file: FileHandle,
  image: ManifestImage,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  const corrupt = (detail: string, cause?: unknown): TwinboardError =>
    new TwinboardError("bundle-payload-corrupt", { detail: `image ${image.class}: ${detail}`, cause });
  const hash = createHash("sha256");
  let bytes = 0;
  // The child gets the descriptor and not the path, so that it cannot be shown another file.
  const args = ["-cat", "-no-wildcards", ...smallQueues, "/proc/self/fd/3", image.filename];
  try {
    for await (const chunk of outputOf(...inBackground("unsquashfs", args), { signal, files: [file.fd] })) {
      bytes += chunk.length;
      if (bytes > image.sizeBytes) throw corrupt(`more than the ${image.sizeBytes} bytes of the manifest`);
      hash.update(chunk);
      yield chunk;
    }
  } catch (error) {
    if (error instanceof TwinboardError && error.code === "command-failed")
      throw corrupt(error.message, error);
    throw error;
  }
  if (bytes !== image.sizeBytes) throw corrupt(`${bytes} bytes, the manifest says ${image.sizeBytes}`);
  if (hash.digest("hex") !== image.sha256) throw corrupt("its SHA-256 is not that of the manifest");
}
