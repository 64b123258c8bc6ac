/**
 * Every error that leaves a module is a `TwinboardError` with a code. One table says what a code means:
 * its kind, the HTTP status, the exit code and the sentence for people. Callers branch on `code` or `kind`, never on text.
 */

/** *rejected*: nothing changed. *failed*: rolled back. *stuck*: needs a person. *usage*: the command line was wrong. */
export type ErrorKind = "rejected" | "failed" | "stuck" | "usage";

interface ErrorRow {
  readonly kind: ErrorKind;
  /** HTTP status of an API answer that carries this error. */
  readonly status: number;
  /** What is wrong, as the beginning of a sentence; details follow after a colon. */
  readonly sentence: string;
  /** What to do about it. */
  readonly remedy: string;
}

const rejected = (sentence: string, remedy: string, status = 422): ErrorRow => ({
  kind: "rejected",
  status,
  sentence,
  remedy,
});
const failed = (sentence: string, remedy: string): ErrorRow => ({
  kind: "failed",
  status: 500,
  sentence,
  remedy,
});
const stuck = (sentence: string, remedy: string): ErrorRow => ({
  kind: "stuck",
  status: 503,
  sentence,
  remedy,
});

/** Each code once. A module that needs a new one adds its row here, beside those of its kind. */
export const errorTable = {
  // the command line and the configuration
  usage: { kind: "usage", status: 400, sentence: "the command line is not understood", remedy: "see --help" },
  "config-changed": rejected(
    "boards run by an earlier configuration that this one contradicts",
    "put back what was changed, or run twinboard down first",
    409,
  ),
  "config-invalid": rejected("the configuration is not valid", "correct what is named"),
  "daemon-unreachable": rejected(
    "no daemon answers on the socket",
    "start it with twinboard serve, or name the socket with --socket",
    503,
  ),
  "request-invalid": rejected("the request is not understood", "see /v1/openapi.json", 400),
  "request-too-large": rejected("the request is too large", "see /v1/openapi.json", 413),
  "not-found": rejected("there is no such thing", "see /v1/openapi.json", 404),
  "too-many-watchers": rejected("too many watch the events already", "end one of them", 429),

  // the host
  "need-root": rejected("this needs root", "run it as root or with sudo"),
  "missing-program": rejected("a program is missing on this host", "install the package that is named"),
  "missing-kernel-feature": rejected(
    "the kernel lacks something that the configuration needs",
    "load the module that is named, or use a kernel that has it",
  ),
  "missing-mount-point": rejected(
    "a directory that something is mounted on is missing",
    "make the directory that is named",
  ),
  "cgroup-unwritable": rejected(
    "a tree of control groups cannot be written to",
    "mount it so that it can be (mount -o remount,rw), and let the daemon write to it",
  ),
  "no-kvm": rejected("KVM runs no guest here", "use accelerator: auto or tcg, or mend /dev/kvm"),
  "missing-card": rejected("a network card is missing", "name a card that exists, see ip link"),
  "uplink-unfit": rejected(
    "the uplink cannot carry the service in the way that is configured",
    "do what is named, or choose another network.mode",
  ),
  "no-ipv6": rejected(
    "a service has an IPv6 address, and this host does not speak IPv6",
    "switch it on (see disable_ipv6 in ip-sysctl), or give services IPv4 addresses alone",
  ),
  "too-little-memory": rejected("the host has too little memory for two boards", "lower boards.memory"),
  "too-little-disk": rejected("the disk has too little room", "free space in the state directory"),
  "already-running": rejected("another daemon serves this system", "stop it first, or use its socket", 409),
  "address-in-use": rejected("an address or port is taken", "stop what uses it, or configure another", 409),
  // asking for a story
  "service-not-set-up": rejected(
    "the rules that switch the service are gone from the host",
    "restart the daemon: it sets them up again",
    409,
  ),
  busy: rejected("another story is under way", "wait for it, or cancel it", 409),
  "nothing-to-cancel": rejected("no story is under way", "see twinboard status", 409),
  "too-late-to-cancel": rejected("the story has been committed", "use rollback", 409),
  "only-good-slot": rejected(
    "the upgrade would overwrite the only good slot",
    "go back to it with twinboard rollback, or overwrite it with --force",
    409,
  ),
  "nothing-to-roll-back-to": rejected("no dormant board holds good software", "upgrade instead", 409),
  "line-broker-unsuitable": rejected(
    "the broker of the serial lines and streams is of another version",
    "twinboard down ends it, then start the daemon again",
    409,
  ),
  // looking into a board
  "board-not-running": rejected("the board does not run", "see twinboard status", 409),
  "console-in-use": rejected("somebody is attached to this console", "wait until it is free", 409),
  // the bundle
  "bundle-unreadable": rejected("the bundle cannot be read", "check the path and its permissions"),
  "bundle-not-a-bundle": rejected("this is not a RAUC bundle", "make one with twinboard bundle create"),
  "bundle-truncated": rejected("the bundle is truncated", "fetch it again"),
  "bundle-signature-invalid": rejected(
    "the bundle's signature does not hold",
    "sign it again, or fetch it again",
  ),
  "bundle-signer-untrusted": rejected(
    "the bundle's signer is not trusted",
    "add its certificate authority to trust.keyring if you do trust it",
  ),
  "bundle-certificate-expired": rejected(
    "the signer's certificate is not valid now",
    "sign with a current certificate, and check the host's clock",
  ),
  "bundle-format-refused": rejected("the bundle's format is not allowed here", "use the verity format"),
  "bundle-manifest-invalid": rejected(
    "the bundle's manifest is not valid",
    "correct the manifest and sign again",
  ),
  "bundle-incompatible": rejected("the bundle is for another system", "use one whose compatible matches"),
  "bundle-kind-refused": rejected(
    "the bundle cannot be booted by a board of a kind that is allowed here",
    "use a bundle for such a board, or change boards.kind",
  ),
  "bundle-below-floor": rejected(
    "the bundle is older than the version floor",
    "use a version at or above the floor",
  ),
  "bundle-version-failed": rejected("this version failed here before", "use another version, or --force"),
  "bundle-too-large": rejected("the bundle does not fit the slot", "make it smaller, or the slot larger"),
  "bundle-not-made": rejected("the bundle could not be made", "correct the file or value that is named"),
  "bundle-payload-corrupt": failed(
    "a block of the bundle does not match its signed hash tree",
    "fetch it again",
  ),
  // a story that failed and was taken back
  "slot-write-failed": failed("the slot could not be written", "check the disk under the slot"),
  "board-start-failed": failed("the board could not be started", "see the reason and the board's console"),
  "board-start-killed": failed(
    "a process that starts the board was killed",
    "see who killed it (dmesg tells of the kernel's own kills), and upgrade again",
  ),
  "runtime-hangs": failed(
    "the container runtime hangs",
    "see whether it answers by hand (crun list, runc list), or name the other one in boards.runtime",
  ),
  "board-died": failed("the board died", "see the board's console"),
  "board-hung": failed("the board hangs", "see the board's console"),
  "board-not-ready": failed("the board did not report READY in time", "see the board's console"),
  "board-wrong-version": failed("the board reports another version than its bundle", "make the bundle again"),
  "board-unhealthy": failed("a health check of the board fails", "see what the check asks for"),
  "board-resume-failed": failed("the dormant board could not be woken", "see the board's console"),
  "board-woken": failed(
    "a dormant board was woken by somebody else, and is laid to sleep again",
    "find out who thaws its control group or lets its machine go on",
  ),
  "board-unlinked": failed(
    "the outside cannot be reached through the board's own wire",
    "see its cable and the port at its other end, then start again",
  ),
  "hook-failed": failed("a hook of the board failed", "see the board's console"),
  "takeover-failed": failed("the takeover was not carried out", "see the cause"),
  "stale-epoch": failed(
    "a transaction of an earlier daemon was refused",
    "nothing: this protects the holder",
  ),
  "holder-failed": failed(
    "the board in service failed in the middle of the story",
    "start it again once the service is back, see twinboard status",
  ),
  "host-rebooted": failed("the host was booted in the middle of the story", "start it again"),
  "undone-unrecorded": failed(
    "the story was undone by the daemon before, which could not write why",
    "see that the disk has room, then start it again",
  ),
  cancelled: failed("the story was cancelled", "start it again when you like"),
  "deadline-passed": failed("something took longer than its deadline", "see what was awaited"),
  "command-failed": failed("a program of this host failed", "see its message"),
  internal: failed("a defect of Twinboard", "report it with the message"),
  // what needs a person
  "holder-unhealthy": stuck(
    "the board in service is not healthy, and no other can take over",
    "see its console, then upgrade with good software",
  ),
  "holder-unlinked": stuck(
    "the outside cannot be reached through the wire of the board in service, and no other can take over",
    "see the cables and the ports at their other ends",
  ),
  "failover-given-up": stuck(
    "the service went from board to board too often",
    "see both consoles and twinboard history, then upgrade with good software",
  ),
  "journal-damaged": stuck("the journal is damaged", "keep a copy of the file, then remove it"),
  "system-file-damaged": stuck("system.json is damaged", "keep a copy of the file, then remove it"),
  "no-board-works": stuck("no board works", "see both consoles, then upgrade with good software"),
  "take-back-failed": stuck("the service could not be taken back", "see both consoles"),
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof errorTable;

export interface ErrorDetails {
  /** What exactly: which file, which value, what was expected. Goes after the table's sentence. */
  readonly detail?: string;
  /** The phase of the story in which it happened, if one was under way. */
  readonly phase?: string;
  /** Instead of the table's, where it is known better. */
  readonly remedy?: string;
  readonly cause?: unknown;
}

/** The one error class. `message` is the table's sentence with the detail. */
export class TwinboardError extends Error {
  override readonly name = "TwinboardError";
  readonly code: ErrorCode;
  readonly detail: string | undefined;
  readonly phase: string | undefined;
  /** What to do about it: the code's own, unless something better is known. */
  readonly remedy: string;

  constructor(code: ErrorCode, details: ErrorDetails = {}) {
    const { detail, phase, remedy, cause } = details;
    super(
      detail === undefined ? errorTable[code].sentence : `${errorTable[code].sentence}: ${detail}`,
      cause === undefined ? undefined : { cause },
    );
    this.code = code;
    this.detail = detail;
    this.phase = phase;
    this.remedy = remedy ?? errorTable[code].remedy;
  }

  get kind(): ErrorKind {
    return errorTable[this.code].kind;
  }

  get status(): number {
    return errorTable[this.code].status;
  }
}

/** Exit codes of the command (docs/story.md, "Outcomes"). */
export const exitCodes: Record<ErrorKind, number> = { failed: 1, rejected: 2, stuck: 3, usage: 64 };

/** Leaves what is ours as it is; of what is not, a full disk is told as one, whoever was writing, and the rest is a defect. */
export function asTwinboardError(error: unknown): TwinboardError {
  if (error instanceof TwinboardError) return error;
  const detail = error instanceof Error ? error.message : String(error);
  const { code } = Object(error) as NodeJS.ErrnoException;
  const full = code === "ENOSPC" || code === "EDQUOT";
  return new TwinboardError(full ? "too-little-disk" : "internal", { detail, cause: error });
}
