/**
 * A board's two directories below the system's run directory. What QEMU's unprivileged user may write is apart from what root writes and
 * reads: a machine that was broken into can plant links and files in its own directory, and nowhere else.
 */
import { lchown, lstat, mkdir, readdir, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import type { SystemNames } from "../../system/names.ts";
import { run } from "../../system/process.ts";
import type { BoardName } from "../board.ts";

export interface MachineUser {
  readonly uid: number;
  readonly gid: number;
}

/** The working directory of the machine's process, with its sockets: its user's, made anew for each machine (`launch-script.ts`). */
export function machineDirectory(names: SystemNames, board: BoardName): string {
  return join(names.runDirectory, `board-${board}`);
}

/** Who the machine is, that it sleeps, what it died of, and the lock of its process: root's alone. */
export function recordDirectory(names: SystemNames, board: BoardName): string {
  return join(names.runDirectory, `record-${board}`);
}

/** Repeatable. */
export async function makeRecordDirectory(names: SystemNames, board: BoardName): Promise<void> {
  await mkdir(recordDirectory(names, board), { recursive: true, mode: 0o700 });
}

/** Command line of sh(1) that empties its working directory, run with the rights of the machine's user: what was planted leads nowhere else. */
export const emptying = "chmod -R u+rwx . 2>/dev/null; rm -rf -- ./* ./.[!.]* ./..?*";

/** Beginning of the names in the record directory of what earlier machines have left. */
export const leftPrefix = "left.";

/**
 * Removes both, of a board that is off. Repeatable. Errors: `missing-program`, `deadline-passed`, `command-failed`; `ENOTEMPTY` where
 * somebody still puts things there.
 */
export async function removeDirectories(
  names: SystemNames,
  board: BoardName,
  user: MachineUser,
): Promise<void> {
  await removeForeign(machineDirectory(names, board), user);
  const records = recordDirectory(names, board);
  // One by one: what a machine has left is not walked through as root.
  for (const name of await readdir(records).catch(() => [])) {
    const path = join(records, name);
    if (name.startsWith(leftPrefix)) await removeForeign(path, user);
    else if ((await lstat(path)).isDirectory()) await rmdir(path);
    else await rm(path);
  }
  await rmdir(records).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
}

async function removeForeign(path: string, { uid, gid }: MachineUser): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  // The launch may have been cut off before it was the user's.
  await lchown(path, uid, gid);
  const words = ["--reuid", String(uid), "--regid", String(gid), "--clear-groups", "sh", "-c", emptying];
  await run("setpriv", words, { cwd: path });
  await rmdir(path);
}
