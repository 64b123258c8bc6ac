/** What boards that are containers need of their host: a runtime, file systems, user namespaces, a freezer. Changes nothing. */
import { access, mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TwinboardError } from "../../errors.ts";
import { doubtful, type Finding, fine, lacking, unseen } from "../../system/finding.ts";
import { run } from "../../system/process.ts";
import { findHierarchies } from "./container-group.ts";
import { groupsObstacle } from "./groups-obstacle.ts";
import { mountPoint } from "./oci-spec.ts";
import { chooseRuntime, type RuntimeName } from "./runtime.ts";

/** A try takes milliseconds, on a slow processor that is busy many times that. */
const timeoutMs = 60_000;

export async function containerFindings(
  wanted: "auto" | RuntimeName,
  signal: AbortSignal,
): Promise<Finding[]> {
  return [
    await runtimeFinding(wanted, signal),
    await freezerFinding(),
    await namespaceFinding(signal),
    await mountPointFinding(),
    ...(process.geteuid?.() === 0
      ? await fileSystemFindings(signal)
      : [unseen("mount", "which file systems can be mounted was not tried", "run this as root")]),
  ];
}

async function runtimeFinding(wanted: "auto" | RuntimeName, signal: AbortSignal): Promise<Finding> {
  const where = "boards.runtime";
  try {
    const { name, version } = await chooseRuntime(wanted, signal);
    return fine(where, `${name} ${version}`);
  } catch (cause) {
    if (!(cause instanceof TwinboardError) || cause.code !== "missing-program") throw cause;
    return lacking(where, cause.code, cause.detail ?? "", cause.remedy);
  }
}

async function freezerFinding(): Promise<Finding> {
  const { freezer } = await findHierarchies();
  const where = "/sys/fs/cgroup";
  const obstacle = await groupsObstacle();
  if (obstacle === undefined)
    return fine(where, `version ${freezer?.version ?? ""}: a board can be held and frozen`);
  if (freezer === undefined)
    return lacking(
      where,
      obstacle.code,
      obstacle.detail ?? "",
      "mount cgroup2 there, or the freezer of version 1",
    );
  if (process.geteuid?.() !== 0)
    return unseen(where, "whether a board's groups can be made was not tried", "run this as root");
  return lacking(where, obstacle.code, obstacle.detail ?? "");
}

async function namespaceFinding(signal: AbortSignal): Promise<Finding> {
  const where = "user namespaces";
  const key = "/proc/sys/user/max_user_namespaces";
  const most = (await readFile(key, "utf8").catch(() => "")).trim();
  // user_namespaces(7): a process whose root is not that of its mounts gets EPERM.
  const remedy = `use a kernel with CONFIG_USER_NS and CONFIG_PID_NS, see that ${key} is not 0, and do not run in a chroot`;
  if (most === "" || most === "0")
    return lacking(
      where,
      "missing-kernel-feature",
      `there are none (${key}: ${most || "not there"})`,
      remedy,
    );
  if (process.geteuid?.() !== 0)
    return unseen(where, "whether one can be made was not tried", "run this as root");
  try {
    await run("unshare", ["--user", "--pid", "--net", "--ipc", "--uts", "--mount", "--fork", "true"], {
      signal,
      timeoutMs,
    });
    return fine(where, "they can be made, with those of processes, networks and mounts");
  } catch (cause) {
    if (isLate(cause)) return late(where);
    return lacking(where, "missing-kernel-feature", (cause as Error).message, remedy);
  }
}

/** The launch script mounts there what the board is given, in a mount namespace of its own; the host's directory stays as it is. */
export async function mountPointFinding(path: string = mountPoint): Promise<Finding> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => error);
  if (!(found instanceof Error) && found.isDirectory())
    return fine(path, "what a board is given can be mounted there, seen by the board alone");
  const what = found instanceof Error ? found.message : `${path} is no directory`;
  return lacking(path, "missing-mount-point", what, `make ${path} a directory: an empty one is enough`);
}

function isLate(error: unknown): boolean {
  return error instanceof TwinboardError && error.code === "deadline-passed";
}

/** A device that has much to do lacks nothing for that. */
function late(where: string): Finding {
  return unseen(
    where,
    `to try it took longer than ${timeoutMs / 1000} s`,
    "run this when the device has less to do",
  );
}

/** Each is tried in a mount namespace that ends with the try. */
async function fileSystemFindings(signal: AbortSignal): Promise<Finding[]> {
  const directory = await mkdtemp(join(tmpdir(), "twinboard-check-"));
  const tried = async (script: string): Promise<Error | undefined> => {
    const words = ["-m", "--propagation", "private", "sh", "-ec", `cd "$1"\n${script}`, "sh", directory];
    return await run("unshare", words, { signal, timeoutMs }).then(
      () => undefined,
      (error: Error) => error,
    );
  };
  try {
    const overlay = await tried(
      'mount -t tmpfs tmpfs .\ncd "$1"\nmkdir l u w m\nmount -t overlay -o lowerdir=l,upperdir=u,workdir=w overlay m',
    );
    const loop = await access("/dev/loop-control").then(
      async () =>
        await tried(
          'mount -t tmpfs tmpfs .\ncd "$1"\nmkdir s m\nmksquashfs s i -quiet -no-progress >&2\nmount -o loop,ro i m',
        ),
      () => new Error("there is no /dev/loop-control"),
    );
    return [
      overlay === undefined
        ? fine("overlay", "a board's root file system can be written to without being changed")
        : isLate(overlay)
          ? late("overlay")
          : lacking("overlay", "missing-kernel-feature", overlay.message, "modprobe overlay"),
      loop === undefined
        ? fine("squashfs", "a slot's image can be mounted")
        : doubtful(
            "squashfs",
            `an image is unpacked into memory each time a board starts: ${loop.message}`,
            "modprobe loop squashfs",
          ),
    ];
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
