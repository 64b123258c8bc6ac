/** What is done as root between the daemon's order and the container's first instruction, and at its end, as a script of sh(1). */
import { mountPoint, places } from "./oci-spec.ts";

/** Files in the record directory, where the script works. */
export const recordFiles = {
  lock: "lock",
  /** `PID TICKS INSTANCE` of the container's first process, written once it runs. */
  process: "process",
  /** `PID TICKS` of the script. */
  monitor: "monitor",
  /** Name of the runtime that the container was made by. */
  runtimeName: "runtime.name",
  /** `INSTANCE STATUS`: how the container's first process ended, as a shell tells it. */
  ended: "ended",
  bundle: "bundle",
  runtimeRoot: "runtime",
  runtimeLog: "runtime.log",
  consoleInput: "console.in",
  consoleOutput: "console.out",
  /** A directory that the container sees, with the socket that it speaks on. */
  host: "host",
  notifySocket: "host/notify",
  /** What the board has said, as socat(1) writes it. */
  notify: "notify",
} as const;

/** sysexits(3), EX_TEMPFAIL: another container of this board is being started, or runs. */
export const lockedExitCode = 75;

export interface ScriptArguments {
  readonly runtime: string;
  readonly id: string;
  readonly instance: string;
  readonly image: string;
  readonly firstId: number;
  /** Bytes that the board may write to its root file system. */
  readonly upperBytes: number;
  /** Bytes that an image may take which has to be unpacked. */
  readonly unpackedBytes: number;
  /** Directories of the board's control groups that its helpers belong to, with colons between them; or nothing. */
  readonly groupPaths: string;
  /** Blocks of 512 bytes that the console, and what the board said, may grow to (POSIX, ulimit). */
  readonly fileBlocks: number;
  readonly devices: string;
  /** Cores that the runtime is to begin on, as a list; nothing: those that its group gives it. */
  readonly cores: string;
  /** *own*: it begins at the top of a namespace of control groups, and is to see that as the only tree; nothing: the host's. */
  readonly groupTree: "own" | "";
  /** *mount*: by a loop device, or unpacked where that fails; *unpack*: unpacked. */
  readonly way: "mount" | "unpack";
}

export function scriptArguments(words: ScriptArguments): string[] {
  const { runtime, id, instance, image, firstId, upperBytes, unpackedBytes, groupPaths } = words;
  const { fileBlocks, devices, way, cores, groupTree } = words;
  return [
    runtime,
    id,
    instance,
    image,
    String(firstId),
    String(upperBytes),
    String(unpackedBytes),
    groupPaths,
    String(fileBlocks),
    devices,
    way,
    cores,
    groupTree,
  ];
}

/**
 * It runs in a mount namespace of its own and in the board's network: all mounts, and the loop device under them, are gone with the last
 * process in there, whoever ends it. Then it stays as the container's parent, because only that learns how it ended, and two helpers with
 * it: one that hands the console on, one that takes down what the board says. All outlive the daemon; descriptor 3 is the console's log.
 * The image's files get the ids that the board's users have on the host, by an overlay that copies what belongs to a file and not its
 * content (kernel documentation, overlayfs, "Metadata only copy up").
 */
export const launchScript = `set -e
back=$PWD
runtime=$1 id=$2 instance=$3 image=$4 first=$5 upper=$6 unpacked=$7 groups=$8 blocks=$9
shift 9
devices=$1 way=$2 cores=$3 tree=$4
: >>${recordFiles.lock}
exec 9<${recordFiles.lock}
flock -w 2 9 || exit ${lockedExitCode}
rm -rf ${recordFiles.process} ${recordFiles.ended} pid ${recordFiles.host} ${recordFiles.runtimeLog} \\
  ${recordFiles.consoleInput} ${recordFiles.consoleOutput} ${recordFiles.notify}
# Field 22 of /proc/PID/stat (proc(5)); nothing of one that has ended and waits for its parent. What the shell does itself costs a boot no program.
ticks() {
  stat=
  # A program may have a line's end in its name.
  while read -r part; do stat="$stat $part"; done <"/proc/$1/stat" || return
  set -- \${stat##*) }
  case $1 in Z | X) ;; *) echo "\${20}" ;; esac
}
echo "$$ $(ticks $$)" >${recordFiles.monitor}
echo "$runtime" >${recordFiles.runtimeName}
before=$IFS
IFS=:
for group in $groups; do
  mkdir -p "$group/host" || :
  echo "$$" >"$group/host/cgroup.procs" || :
done
IFS=$before
[ -z "$tree" ] || { umount -l /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup; }
# crun takes a host with trees of both versions for one of version 1, and refuses where the second has controllers: it does not see that.
[ "$runtime" != crun ] || [ ! -d /sys/fs/cgroup/freezer ] || umount /sys/fs/cgroup/unified 2>/dev/null || :
[ ! -e "${recordFiles.runtimeRoot}/$id" ] ||
  "$runtime" --root "$back/${recordFiles.runtimeRoot}" delete --force "$id" 2>/dev/null || :
[ -d lower ] || mkdir lower
[ "$way" = mount ] && why=$(mount -o ro,loop,nosuid,nodev "$image" lower 2>&1) || {
  echo "twinboard: the root file system is unpacked into memory: \${why:-this was asked for}" >&3
  mount -t tmpfs -o "mode=0755,nosuid,nodev,size=$unpacked" tmpfs lower
  # Whatever ends it, it is not the runtime that was killed.
  unsquashfs -no-progress -quiet -force -dest lower "$image" >&2 || { echo "unsquashfs: exit status $?" >&2; exit 1; }
}
# Below a directory that everybody may pass, as the runtimes do it with the rights of the board's users.
mount -t tmpfs -o "mode=0755,nosuid,size=$upper" tmpfs ${mountPoint}
mkdir ${mountPoint}/lower ${mountPoint}/upper ${mountPoint}/work ${places.root} ${places.host} ${places.devices} ${places.sys}
: >${places.console}
mount --move lower ${mountPoint}/lower
layers=lowerdir=${mountPoint}/lower,upperdir=${mountPoint}/upper,workdir=${mountPoint}/work
mount -t overlay -o "nosuid,nodev,$layers,metacopy=on" overlay ${places.root} 2>/dev/null ||
  mount -t overlay -o "nosuid,nodev,$layers" overlay ${places.root}
cd ${places.root}
others=$(find . -xdev -user 0 -group 0 -exec chown -h "$first:$first" {} + -o -exec stat -c '%u %g' {} +)
[ -z "$others" ] || echo "$others" | sort -u | while read -r uid gid; do
  find . -xdev -user "$uid" -group "$gid" -exec chown -h "$((first + uid)):$((first + gid))" {} +
done
cd "$back"
mkdir -m 755 ${recordFiles.host}
mkfifo -m 600 ${recordFiles.consoleInput}
mkfifo -m 622 ${recordFiles.consoleOutput}
chown "$first:$first" ${recordFiles.consoleOutput}
mount --bind ${recordFiles.host} ${places.host}
mount --bind "$devices" ${places.devices}
mount --bind ${recordFiles.consoleOutput} ${places.console}
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs ${places.sys}
exec 4<>${recordFiles.consoleInput} 5<>${recordFiles.consoleOutput}
(
  trap '' XFSZ
  ulimit -f "$blocks"
  while :; do cat <&5 >&3 2>/dev/null || :; done
) 4<&- 9<&- &
(
  trap '' XFSZ
  ulimit -f "$blocks"
  while :; do
    socat -u -x UNIX-RECV:${recordFiles.notifySocket},unlink-early,mode=666 OPEN:/dev/null 2>>${recordFiles.notify} || :
    # If it was killed: a board that has to say that it lives may have a second for it.
    sleep 0.1
  done
) 3<&- 4<&- 5<&- 9<&- &
tries=500
until [ -S ${recordFiles.notifySocket} ]; do
  tries=$((tries - 1))
  [ "$tries" -gt 0 ] || exit 1
  sleep 0.01
done
\${cores:+taskset -c "$cores"} "$runtime" --root "$back/${recordFiles.runtimeRoot}" --log "$back/${recordFiles.runtimeLog}" \\
  run --bundle "$back/${recordFiles.bundle}" --pid-file "$back/pid" "$id" <&4 >&5 2>&5 3<&- 4<&- 5<&- &
job=$!
while [ ! -s pid ] && kill -0 "$job" 2>/dev/null; do sleep 0.01; done
if [ -s pid ]; then
  read -r pid <pid || :
  echo "$pid $(ticks "$pid" 2>/dev/null || echo 0) $instance" >${recordFiles.process}.new
  mv ${recordFiles.process}.new ${recordFiles.process}
fi
set +e
wait "$job"
status=$?
# The runtime was killed, and the container may live on.
if [ "$status" = 137 ] && [ -s ${recordFiles.process} ]; then
  read -r pid began rest <${recordFiles.process}
  while [ "$(ticks "$pid" 2>/dev/null)" = "$began" ]; do sleep 0.5; done
fi
trap '' TERM
if [ -s pid ]; then
  # What the board said last is still on its way to the log; one that was killed said nothing.
  [ "$status" = 137 ] || sleep 0.02
  echo "$instance $status" >${recordFiles.ended}.new
  mv ${recordFiles.ended}.new ${recordFiles.ended}
fi
kill 0
exit "$status"`;
