/** What is done as root between the daemon's order and QEMU's first instruction, as a script of sh(1). */
import { emptying, leftPrefix } from "./board-directories.ts";
import { consolePipe } from "./command-line.ts";

/** Files in the record directory. */
export const processFile = "process";
const lockFile = "lock";
/** sysexits(3), EX_TEMPFAIL: another process of this board holds the lock. */
export const lockedExitCode = 75;

/** Its arguments before the command line that it ends as. */
export interface ScriptArguments {
  readonly uid: number;
  readonly gid: number;
  /** The machine's directory, absolute; the script's own working directory is the record directory. */
  readonly directory: string;
  /** Directories of the board's control groups, with colons between them; or nothing. */
  readonly groupPaths: string;
  /** Blocks of 512 bytes that a file of the machine's may have (POSIX, ulimit). */
  readonly fileBlocks: number;
  /** Name of the VFIO group of a card that is passed through, or nothing. */
  readonly vfioGroup: string;
}

export function scriptArguments(words: ScriptArguments): string[] {
  const { uid, gid, directory, groupPaths, fileBlocks, vfioGroup } = words;
  return [String(uid), String(gid), directory, groupPaths, String(fileBlocks), vfioGroup];
}

/**
 * The lock is inherited by QEMU, to read, and freed by the kernel when that has ended, so there are never two machines of one board, whoever
 * starts them; one that is just ending is waited for. Where an earlier machine could write, root does not: its directory is moved away,
 * emptied with that machine's rights, and a new one is the user's only when root has done its work there. Only systems with udev let other
 * users open /dev/net/tun: in a mount namespace of its own the machine gets a node that it may open, and a tap's owner is all the right
 * that it needs (tun(4)). The same for a card that is passed through, whose device may write to all of the board's memory: it is locked. A machine that a
 * control group does not take runs all the same, and the daemon tells.
 */
export const launchScript = `set -e
uid=$1 gid=$2 directory=$3 groups=$4 fileBlocks=$5 vfio=$6
shift 6
: >>${lockFile}
exec 9<${lockFile}
flock -w 2 9 || exit ${lockedExitCode}
echo "$$ $(cut -d ' ' -f 22 "/proc/$$/stat")" >${processFile}
before=$IFS
IFS=:
for group in $groups; do echo "$$" >"$group/cgroup.procs" || :; done
IFS=$before
mkdir -p dev
mount -t tmpfs -o size=4k,mode=0755,noexec,nosuid none dev
mknod -m 600 dev/tun c 10 200
chown "$uid" dev/tun
mount --bind dev/tun /dev/net/tun
if [ -n "$vfio" ]; then
  mkdir dev/vfio
  cp -a /dev/vfio/vfio "/dev/vfio/$vfio" dev/vfio
  chown "$uid" dev/vfio/*
  chmod 600 dev/vfio/*
  mount --bind dev/vfio /dev/vfio
  ulimit -l unlimited
fi
[ ! -e "$directory" ] || mv "$directory" "${leftPrefix}$$"
for left in ${leftPrefix}*; do
  [ -d "$left" ] || continue
  chown "$uid:$gid" "$left"
  (cd "$left" && setpriv --reuid "$uid" --regid "$gid" --clear-groups sh -c '${emptying}') || :
  rmdir "$left" || :
done
mkdir -m 700 "$directory"
cd "$directory"
mkfifo -m 600 ${consolePipe.input}
chown "$uid" ${consolePipe.input}
ln -s /dev/null ${consolePipe.output}
chown "$uid:$gid" .
ulimit -f "$fileBlocks"
trap '' XFSZ
exec "$@"`;
