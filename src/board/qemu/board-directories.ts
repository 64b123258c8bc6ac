/**
 * A board's two directories below the system's run directory. What QEMU's unprivileged user may write is apart from what root writes and
 * reads: a machine that was broken into can plant links and files in its own directory, and nowhere else.
 */
import { lchown, lstat, mkdir, rm, rmdir } from "node:fs/promises";
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

/** Command line of sh(1) that empties its working directory. */
export const emptying = "rm -rf -- ./* ./.[!.]* ./..?*";

/** Removes both, of a board that is off. Repeatable. Errors: `missing-program`, `deadline-passed`, `command-failed`. */
export async function removeDirectories(
  names: SystemNames,
  board: BoardName,
  { uid, gid }: MachineUser,
): Promise<void> {
  const machine = machineDirectory(names, board);
  if (await isThere(machine)) {
    // Its launch may have been cut off before it was its user's.
    await lchown(machine, uid, gid);
    // With no more rights than the machine had: whatever it planted leads nowhere else.
    const words = ["--reuid", String(uid), "--regid", String(gid), "--clear-groups", "sh", "-c", emptying];
    await run("setpriv", words, { cwd: machine });
    await rmdir(machine);
  }
  await rm(recordDirectory(names, board), { recursive: true, force: true });
}

async function isThere(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    () => false,
  );
}
