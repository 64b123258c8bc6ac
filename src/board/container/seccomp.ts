/**
 * System calls that a board has no use for. A deny-list, because what software a board runs is not ours to know: everything else is
 * allowed, and what would change the host, look into it, or get capabilities back by a namespace of its own is refused. Names that a
 * kernel or libseccomp does not know are passed over by the runtimes. Sources: syscalls(2), capabilities(7), user_namespaces(7), OCI
 * runtime specification, "Seccomp".
 */
const refused = {
  "the kernel's code and its next boot": [
    "init_module",
    "finit_module",
    "delete_module",
    "create_module",
    "kexec_load",
    "kexec_file_load",
  ],
  "programs and probes in the kernel": ["bpf", "perf_event_open", "lookup_dcookie"],
  "file systems: the board has its root, and mounts nothing": [
    "mount",
    "umount",
    "umount2",
    "pivot_root",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "move_mount",
    "open_tree",
    "mount_setattr",
    "swapon",
    "swapoff",
    "quotactl",
    "quotactl_fd",
    "open_by_handle_at",
    "name_to_handle_at",
  ],
  "namespaces: in one of its own a process has every capability": ["unshare", "setns"],
  "the host's clock, which is the board's too": [
    "settimeofday",
    "clock_settime",
    "clock_settime64",
    "clock_adjtime",
    "clock_adjtime64",
    "adjtimex",
    "stime",
  ],
  "the host's log, accounting, keys and terminals": [
    "syslog",
    "acct",
    "add_key",
    "keyctl",
    "request_key",
    "vhangup",
  ],
  "other processes' memory and descriptors": [
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "kcmp",
    "pidfd_getfd",
    "userfaultfd",
  ],
  "rings of requests that no filter sees": ["io_uring_setup", "io_uring_enter", "io_uring_register"],
  "hardware ports and old interfaces": [
    "iopl",
    "ioperm",
    "vm86",
    "vm86old",
    "uselib",
    "nfsservctl",
    "_sysctl",
    "sysfs",
    "ustat",
  ],
} as const satisfies Readonly<Record<string, readonly string[]>>;

const cloneNewUser = 0x1000_0000;
const enosys = 38;

/** `linux.seccomp` of the runtime's configuration. */
export function seccompProfile(arch: string): object {
  return {
    defaultAction: "SCMP_ACT_ALLOW",
    // With the processor's other ways to call, by which a filter would be passed.
    architectures:
      arch === "arm64"
        ? ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]
        : ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    syscalls: [
      { names: Object.values(refused).flat(), action: "SCMP_ACT_ERRNO" },
      {
        names: ["clone"],
        action: "SCMP_ACT_ERRNO",
        args: [{ index: 0, value: cloneNewUser, valueTwo: cloneNewUser, op: "SCMP_CMP_MASKED_EQ" }],
      },
      // Its flags are in memory, where no filter looks; C libraries that are told that there is none use clone.
      { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: enosys },
    ],
  };
}
