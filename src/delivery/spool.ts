/** Writing what comes in to a file that only the daemon can read. */
import { type FileHandle, open, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { TwinboardError } from "../errors.ts";
import { syncStepBytes, writeWhole } from "../system/files.ts";

/** Left free for the journal and `system.json`, which are written after the bundle. */
const reserveBytes = 4 * 1024 * 1024;

export interface SpoolOptions {
  readonly maxBytes: number;
  /** What the sender says; fewer or more are an error. */
  readonly sizeBytes?: number;
  readonly onProgress: (progress: { readonly bytes: number; readonly totalBytes?: number }) => void;
  readonly signal: AbortSignal;
}

/** Errors: `too-little-disk` unless the file system of `directory` has room for so many bytes. */
export async function checkRoom(directory: string, sizeBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const freeBytes = bavail * bsize - reserveBytes;
  if (freeBytes < sizeBytes) {
    throw new TwinboardError("too-little-disk", {
      detail: `${sizeBytes} bytes are to come, ${Math.max(0, freeBytes)} are free under ${directory}`,
    });
  }
}

/**
 * Writes all chunks to a new file of mode 0600, on the disk when it returns. Ends with the signal even while the sender says nothing.
 * Errors: `bundle-too-large`, `bundle-truncated`, `too-little-disk`, `bundle-unreadable` (the sender broke off); the signal's reason.
 */
export async function spool(
  chunks: AsyncIterable<Uint8Array>,
  path: string,
  options: SpoolOptions,
): Promise<void> {
  const { maxBytes, sizeBytes, onProgress, signal } = options;
  const limit = Math.min(maxBytes, sizeBytes ?? maxBytes);
  let bytes = 0;
  let unsyncedBytes = 0;
  let file: FileHandle | undefined;
  try {
    file = await open(path, "wx", 0o600);
    for await (const chunk of untilAborted(chunks, signal)) {
      if (bytes + chunk.length > limit)
        throw new TwinboardError("bundle-too-large", { detail: `more than ${limit} bytes came` });
      await writeWhole(file, chunk);
      bytes += chunk.length;
      unsyncedBytes += chunk.length;
      if (unsyncedBytes >= syncStepBytes) {
        await file.datasync();
        unsyncedBytes = 0;
        // Of a sender who does not say how much comes, nothing else keeps the reserve.
        if (sizeBytes === undefined) await checkRoom(dirname(path), syncStepBytes);
      }
      onProgress(sizeBytes === undefined ? { bytes } : { bytes, totalBytes: sizeBytes });
    }
    if (sizeBytes !== undefined && bytes < sizeBytes)
      throw new TwinboardError("bundle-truncated", {
        detail: `${bytes} bytes came, ${sizeBytes} were announced`,
      });
    await file.sync();
  } catch (error) {
    signal.throwIfAborted();
    throw spoolError(error);
  } finally {
    await file?.close();
  }
}

function spoolError(cause: unknown): TwinboardError {
  if (cause instanceof TwinboardError) return cause;
  const { code, message } = cause as NodeJS.ErrnoException;
  const full = code === "ENOSPC" || code === "EDQUOT";
  return new TwinboardError(full ? "too-little-disk" : "bundle-unreadable", { detail: message, cause });
}

/** A sender that hangs must not hold the story: the wait for its next chunk ends with the signal. */
async function* untilAborted(
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const iterator = chunks[Symbol.asyncIterator]();
  const aborted = Promise.withResolvers<never>();
  // Nobody may be waiting when it rejects.
  aborted.promise.catch(() => undefined);
  const abort = (): void => aborted.reject(signal.reason as Error);
  signal.addEventListener("abort", abort, { once: true });
  let ended = false;
  try {
    for (;;) {
      signal.throwIfAborted();
      const next = await Promise.race([iterator.next(), aborted.promise]);
      if (next.done === true) {
        ended = true;
        return;
      }
      yield next.value;
    }
  } finally {
    signal.removeEventListener("abort", abort);
    // Not awaited: a sender that hangs would not answer this either.
    if (!ended) iterator.return?.()?.catch(() => undefined);
  }
}
