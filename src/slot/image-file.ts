/** Writing one image to a file of the slot, and reading back what the disk holds. */
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { TwinboardError } from "../errors.ts";
import { inBackground } from "../system/background.ts";
import { feedFile } from "../system/fed-file.ts";
import { outputOf } from "../system/output.ts";

/**
 * Writes a new file from `chunks`, on the disk when it returns; `onBytes` gets the size of each piece on its way there.
 * Errors: `slot-write-failed`, `missing-program`; those of `chunks`; the signal's reason.
 */
export async function writeImage(
  path: string,
  chunks: AsyncIterable<Uint8Array>,
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_DSYNC } = constants;
  const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_DSYNC;
  const file = await writing(path, () => open(path, flags, 0o644));
  try {
    await feedFile(file, chunks, onBytes, signal).catch((cause: unknown) => {
      signal.throwIfAborted();
      if (!(cause instanceof TwinboardError) || cause.code !== "command-failed") throw cause;
      throw new TwinboardError("slot-write-failed", { detail: `${path}: ${cause.detail ?? ""}`, cause });
    });
    await writing(path, () => file.sync());
  } finally {
    await file.close();
  }
}

/**
 * Reads the file from the disk and compares its SHA-256.
 * dd reads past the page cache (O_DIRECT); on a file system that has no such way (tmpfs before Linux 6.6) it asks the kernel to drop what it
 * has cached (POSIX_FADV_DONTNEED), which a file system in memory cannot do: there this only shows that the right bytes were written.
 * Errors: `slot-write-failed`; the signal's reason.
 */
export async function readBackImage(
  path: string,
  sha256: string,
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const found =
    (await hashOutput(path, "direct", onBytes, signal)) ??
    (await hashOutput(path, "nocache", onBytes, signal));
  if (found === undefined)
    throw new TwinboardError("slot-write-failed", { detail: `${path} cannot be read back` });
  if (found !== sha256)
    throw new TwinboardError("slot-write-failed", {
      detail: `${path}: what the disk gives back is not what was written`,
    });
}

/** `undefined` if dd could not read the file's first bytes in this way. */
async function hashOutput(
  path: string,
  flag: "direct" | "nocache",
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<string | undefined> {
  const hash = createHash("sha256");
  let begun = false;
  try {
    if (flag === "nocache") await dropCache(path, signal);
    const args = [`if=${path}`, `iflag=${flag}`, "bs=1M", "status=none"];
    for await (const chunk of outputOf(...inBackground("dd", args), { signal })) {
      begun = true;
      hash.update(chunk);
      onBytes(chunk.length);
    }
    return hash.digest("hex");
  } catch (cause) {
    if (!(cause instanceof TwinboardError) || cause.code !== "command-failed") throw cause;
    if (!begun) return undefined;
    throw new TwinboardError("slot-write-failed", { detail: `${path} cannot be read back`, cause });
  }
}

/** dd(1): with `iflag=nocache` and no count, the cache of the whole file is dropped. */
async function dropCache(path: string, signal: AbortSignal): Promise<void> {
  const args = [`if=${path}`, "iflag=nocache", "count=0", "status=none"];
  for await (const _ of outputOf(...inBackground("dd", args), { signal }));
}

async function writing<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    throw new TwinboardError("slot-write-failed", { detail: `${path}: ${(cause as Error).message}`, cause });
  }
}
