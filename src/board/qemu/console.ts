/**
 * A board's console: a file that QEMU appends to, whether or not a daemon runs. Its size is bounded twice: QEMU runs under a limit
 * on file sizes (setrlimit(2), RLIMIT_FSIZE), past which the kernel refuses what it writes, and the daemon keeps only the last part
 * of a file that has grown.
 */
import { type FileHandle, open, readFile, rename, stat, truncate, writeFile } from "node:fs/promises";

/** What QEMU may write while no daemon looks after the file. */
export const consoleHardLimitBytes = 4 * 1024 * 1024;
const trimAtBytes = 512 * 1024;
const keptBytes = 128 * 1024;

export class ConsoleLog {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Forgets the last run and opens the file for the next one, to append. */
  async begin(): Promise<FileHandle> {
    await writeFile(this.#earlierPath, "", { mode: 0o600 });
    await writeFile(this.path, "", { mode: 0o600 });
    return await open(this.path, "a");
  }

  /** The last lines, at most `lines` of them; none if there never was a console. */
  async tail(lines: number): Promise<string[]> {
    const text = `${await lastPart(this.#earlierPath)}${await lastPart(this.path)}`;
    // A terminal's control sequences (ECMA-48) and carriage returns say nothing in a log.
    // oxlint-disable-next-line no-control-regex -- they are what is looked for
    const plain = text.replaceAll(/\u001b\[[0-?]*[ -/]*[@-~]|[\r\u0000-\u0008\u000b-\u001f]/g, "");
    if (plain === "" || lines <= 0) return [];
    return plain.replace(/\n$/, "").split("\n").slice(-lines);
  }

  /** Keeps only the last part of a file that has grown. What is written in the very same moment may be lost. */
  async trim(): Promise<void> {
    const size = (await stat(this.path).catch(() => undefined))?.size ?? 0;
    if (size < trimAtBytes) return;
    await writeFile(`${this.#earlierPath}.new`, await lastPart(this.path), { mode: 0o600 });
    await rename(`${this.#earlierPath}.new`, this.#earlierPath);
    // QEMU's end is open to append, so its next byte is the first of the emptied file.
    await truncate(this.path, 0);
  }

  get #earlierPath(): string {
    return `${this.path}.earlier`;
  }
}

async function lastPart(path: string): Promise<string> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch {
    return "";
  }
  try {
    const { size } = await file.stat();
    if (size <= keptBytes) return await readFile(file, "utf8");
    const { buffer, bytesRead } = await file.read(Buffer.alloc(keptBytes), 0, keptBytes, size - keptBytes);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await file.close();
  }
}
