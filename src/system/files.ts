/** The door to files whose loss would matter: everything here is on the disk when it returns. */
import { constants } from "node:fs";
import { type FileHandle, open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";

/** Makes a directory's entries durable (fsync(2) on the directory itself). */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Replaces a file as one step: a reader, or the host after a power cut, sees the old content or the new, never a mixture. */
export async function writeFileAtomically(
  path: string,
  content: string | Uint8Array,
  mode = 0o600,
): Promise<void> {
  const temporary = `${path}.new`;
  const handle = await open(temporary, "w", mode);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, path);
  await syncDirectory(dirname(path));
}

/** The file's content, or `undefined` if there is no such file. */
export async function readFileIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Appends to a file and has it on the disk before it returns (fdatasync(2)). */
export async function appendDurably(handle: FileHandle, content: string): Promise<void> {
  await handle.appendFile(content);
  await handle.datasync();
}

/**
 * Bytes of a large file written between two fdatasync(2): bounds what the kernel holds back and then writes in one burst, beside the
 * board in service.
 */
export const syncStepBytes = 4 * 1024 * 1024;

/** Writes all of the chunk at the file's position: write(2) may take less than it was given. */
export async function writeWhole(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let written = 0; written < chunk.length; )
    written += (await file.write(chunk, written, chunk.length - written)).bytesWritten;
}
