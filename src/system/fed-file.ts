/** A file that a program of low rank writes: the daemon's own writes would have the daemon's rank. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { FileHandle } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { TwinboardError } from "../errors.ts";
import { orAborted } from "./abort.ts";
import { inBackground } from "./background.ts";
import { syncStepBytes } from "./files.ts";

const mostWords = 2000;

/**
 * Writes `chunks` where the file's offset is; opened with O_DSYNC each few MiB are on the disk before the next are taken. `onBytes` gets the size of each
 * piece once it is on its way. Not repeatable. Errors: `missing-program`, `command-failed` (the disk is full, for instance); those of `chunks`; the
 * signal's reason, at once, also while the disk hangs: the program is killed, and ends when the disk lets it.
 */
export async function feedFile(
  file: FileHandle,
  chunks: AsyncIterable<Uint8Array>,
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const settings = [`bs=${syncStepBytes}`, "iflag=fullblock", "status=none"];
  const [command, args] = inBackground("dd", settings);
  const child = spawn(command, args, { stdio: ["pipe", file.fd, "pipe"] });
  let words = "";
  child.stderr
    ?.setEncoding("utf8")
    .on("data", (text: string) => (words = (words + text).slice(0, mostWords)));
  const closed = once(child, "close") as Promise<[code: number | null, signal: string | null]>;
  // Told below, after its input.
  closed.catch(() => undefined);
  let ofChunks: { readonly error: unknown } | undefined;
  async function* told(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for await (const chunk of chunks) {
        yield chunk;
        onBytes(chunk.length);
      }
    } catch (error) {
      ofChunks = { error };
      throw error;
    }
  }
  // A program that ends early is judged by its exit code, not by EPIPE.
  await pipeline(told, child.stdin as NodeJS.WritableStream, { signal }).catch(() => child.kill("SIGKILL"));
  const ended = orAborted(closed, signal).finally(() => {
    if (signal.aborted) child.kill("SIGKILL");
  });
  const [code, killedBy] = await ended.catch((cause: NodeJS.ErrnoException) => {
    signal.throwIfAborted();
    const isMissing = cause.code === "ENOENT";
    throw new TwinboardError(isMissing ? "missing-program" : "command-failed", { detail: command, cause });
  });
  if (ofChunks !== undefined) throw ofChunks.error;
  if (code !== 0)
    throw new TwinboardError("command-failed", {
      detail: words.trim() === "" ? `dd: ${killedBy ?? `exit code ${code}`}` : words.trim(),
    });
}
