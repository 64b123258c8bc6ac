/** An initrd's archive: cpio, format `newc` (Linux, Documentation/driver-api/early-userspace/buffer-format.rst). */

export interface ArchiveEntry {
  /** Relative to the root, without a leading slash. */
  readonly path: string;
  /** Type and permission bits, as in stat(2). */
  readonly mode: number;
  readonly content?: Uint8Array;
  /** Major and minor number of a device node. */
  readonly device?: readonly [number, number];
}

export const directoryMode = 0o040755;
export const programMode = 0o100755;
export const fileMode = 0o100644;
export const consoleMode = 0o020600;

/** The archive's bytes: owner root, time 0, inode numbers by position, so equal entries give equal bytes. */
export function cpioArchive(entries: readonly ArchiveEntry[]): Buffer {
  const parts: Buffer[] = [];
  const all = [...entries, { path: "TRAILER!!!", mode: 0 }];
  for (const [index, entry] of all.entries()) {
    const name = Buffer.from(`${entry.path}\0`);
    const content = Buffer.from(entry.content ?? []);
    const [major, minor] = entry.device ?? [0, 0];
    const header = [index + 1, entry.mode, 0, 0, 1, 0, content.length, 0, 0, major, minor, name.length, 0]
      .map((field) => field.toString(16).padStart(8, "0"))
      .join("");
    parts.push(padded(Buffer.concat([Buffer.from(`070701${header}`), name])), padded(content));
  }
  return Buffer.concat(parts);
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}
