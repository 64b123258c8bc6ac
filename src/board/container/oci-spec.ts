/** The container that a board is, as the runtime's configuration (OCI runtime specification). Pure. */
import { coreListText } from "../../system/core-list.ts";
import type { SystemNames } from "../../system/names.ts";
import type { BoardName } from "../board.ts";
import type { BoardIdentity, CardAddress } from "../identity.ts";
import { seccompProfile } from "./seccomp.ts";

export interface Container {
  readonly name: BoardName;
  readonly names: SystemNames;
  readonly cpus: number;
  /** Cores of the host that its group is to have; all of them if it is empty. */
  readonly cores: readonly number[];
  /** Directory of the group that limits its memory, in version 1: its processes are moved there before their first instruction. */
  readonly memoryHome: string | undefined;
  readonly identity: BoardIdentity;
  readonly kernelArguments: string;
  readonly watchdogMs: number | undefined;
  /** The first of the host's user and group ids that the board's ids are. */
  readonly firstId: number;
  /** Its control group below each hierarchy. */
  readonly groupPath: string;
}

/** How many ids a board has; 65535 is nobody's. */
export const idCount = 65_536;

/** A directory that the host must have, empty or not. */
export const mountPoint = "/mnt";

/** Where the launch script puts what the container is given, in a mount namespace that the host does not see. */
export const places = {
  root: `${mountPoint}/root`,
  host: `${mountPoint}/host`,
  devices: `${mountPoint}/devices`,
  console: `${mountPoint}/console`,
  sys: `${mountPoint}/sys`,
} as const;

/** In the container. */
export const insidePaths = { notify: "/dev/twinboard/notify", devices: "/dev/devices" } as const;

const maxProcesses = 1024;
/** What the service of a board needs of root's rights, in its own user namespace. `SYS_BOOT` is how it shuts down or resets itself. */
const capabilities = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_NET_BIND_SERVICE",
  "CAP_SETGID",
  "CAP_SETPCAP",
  "CAP_SETUID",
  "CAP_SYS_BOOT",
  "CAP_SYS_CHROOT",
];

export function ociSpec(container: Container, arch: string = process.arch): object {
  const { names, name, cores, memoryHome, groupPath, firstId } = container;
  const ids = [{ containerID: 0, hostID: firstId, size: idCount }];
  return {
    ociVersion: "1.0.2",
    hostname: `board-${name}`,
    root: { path: places.root },
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      cwd: "/",
      args: initCommand(container.kernelArguments),
      env: environment(container),
      capabilities: Object.fromEntries(
        ["bounding", "effective", "permitted"].map((set) => [set, capabilities]),
      ),
      noNewPrivileges: true,
    },
    mounts: mounts(),
    ...(memoryHome === undefined ? {} : { hooks: { createRuntime: [moveUp(memoryHome)] } }),
    annotations: { "twinboard.system": names.system, "twinboard.board": name },
    linux: {
      // Not the network: the container begins in the board's, which outlives it.
      namespaces: ["pid", "ipc", "uts", "mount", "user", "cgroup"].map((type) => ({ type })),
      uidMappings: ids,
      gidMappings: ids,
      cgroupsPath: groupPath,
      resources: {
        // No limit of memory: who owns which controller, `container-groups.ts` says.
        pids: { limit: maxProcesses },
        ...(cores.length === 0 ? {} : { cpu: { cpus: coreListText(cores) } }),
        // A node opens only where the host made it: what the board makes itself is on file systems of its user namespace.
        devices: [{ allow: true, access: "rwm" }],
      },
      seccomp: seccompProfile(arch),
      maskedPaths: [
        "/proc/acpi",
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/sched_debug",
        "/proc/scsi",
        "/proc/timer_list",
        "/proc/timer_stats",
        "/sys/firmware",
      ],
      readonlyPaths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    },
  };
}

/** Moves all that is in the container's group of a tree to the group above. What cannot be moved runs all the same, and is told later. */
function moveUp(directory: string): object {
  const script = 'for pid in $(cat "$1/board/cgroup.procs"); do echo "$pid" >"$1/cgroup.procs" || :; done';
  return { path: "/bin/sh", args: ["sh", "-c", script, "sh", directory] };
}

/** As a kernel chooses it: `init=PATH`, and what follows `--` (kernel documentation, kernel-parameters). */
function initCommand(kernelArguments: string): string[] {
  const [before = "", after = ""] = ` ${kernelArguments} `.split(" -- ", 2);
  const init = /.* init=(\S+)/.exec(before)?.[1] ?? "/sbin/init";
  return [init, ...after.split(/\s+/).filter((word) => word !== "")];
}

function environment(container: Container): string[] {
  const { names, name, identity, kernelArguments, watchdogMs, cpus } = container;
  return [
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/",
    "container=twinboard",
    `NOTIFY_SOCKET=${insidePaths.notify}`,
    ...(watchdogMs === undefined ? [] : [`WATCHDOG_USEC=${watchdogMs * 1000}`]),
    `TWINBOARD_SYSTEM=${names.system}`,
    `TWINBOARD_BOARD=${name}`,
    `TWINBOARD_CPUS=${cpus}`,
    `TWINBOARD_MGMT=${names.mac(name, "mgmt")}`,
    `TWINBOARD_SERVICE=${identity.mac}`,
    ...cardWords("4", identity.ipv4),
    ...cardWords("6", identity.ipv6),
    `TWINBOARD_ARGUMENTS=${kernelArguments.trim()}`,
  ];
}

function cardWords(family: "4" | "6", card: CardAddress | undefined): string[] {
  if (card === undefined) return [];
  const { address, gateway } = card;
  const via = gateway === undefined ? [] : [`TWINBOARD_GATEWAY${family}=${gateway}`];
  return [`TWINBOARD_ADDRESS${family}=${address}`, ...via];
}

function mounts(): object[] {
  const own = ["nosuid", "noexec", "nodev"];
  return [
    { destination: "/proc", type: "proc", source: "proc", options: own },
    {
      destination: "/dev",
      type: "tmpfs",
      source: "tmpfs",
      options: ["nosuid", "noexec", "mode=755", "size=64k"],
    },
    {
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
    },
    { destination: "/dev/shm", type: "tmpfs", source: "tmpfs", options: [...own, "mode=1777", "size=16m"] },
    { destination: "/sys", type: "bind", source: places.sys, options: ["rbind", "ro", ...own] },
    {
      destination: "/dev/twinboard",
      type: "bind",
      source: places.host,
      options: ["bind", "ro", ...own],
    },
    {
      destination: insidePaths.devices,
      type: "bind",
      source: places.devices,
      options: ["bind", "ro", "nosuid", "noexec"],
    },
    {
      destination: "/dev/console",
      type: "bind",
      source: places.console,
      options: ["bind", "nosuid", "noexec"],
    },
  ];
}
