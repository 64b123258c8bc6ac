/**
 * The contract of a board: one virtual board, `a` or `b`, whatever runs it (a QEMU machine, a container, a simulation).
 *
 * Rules for every driver; `test/contract/board.ts` holds them against each one:
 * - A board is built from *names* (paths, ids), never from a child process object, so that a restarted daemon adopts what runs.
 * - Every call may be repeated: it makes a thing so. `start` of the instance that already runs is a success; `stop` of a stopped
 *   board is a success.
 * - `inspect` tells what is, from the kernel and from the board's processes, never from memory, and changes nothing.
 * - Nothing talks to a dormant board: `inspect` and `usage` cost it no processor time.
 * - Every call ends: it takes an AbortSignal, and has a limit of its own on what it reads from a board.
 * - A board that dies keeps its evidence: the console and the reason stay until the next `start`.
 */

import type { BoardKind } from "./kind.ts";

export const boardNames = ["a", "b"] as const;
export type BoardName = (typeof boardNames)[number];

export function otherBoard(name: BoardName): BoardName {
  return name === "a" ? "b" : "a";
}

/** What a board is to boot. `instance` is chosen by the caller and journalled first, so that it is known again. */
export interface BoardStart {
  /** A UUID (RFC 9562) for this one run of the board. */
  readonly instance: string;
  /** The version that the board must report with READY. */
  readonly version: string;
  /** Image class of the manifest (`kernel`, `initrd`, `rootfs`) → absolute path in the slot. */
  readonly images: Readonly<Record<string, string>>;
  /** Kernel arguments from the signed manifest; the driver adds the host's own. */
  readonly kernelArguments: string;
  /** What the software is for; a board that may be either kind becomes it. The board's usual kind if it is left out. */
  readonly kind?: BoardKind | undefined;
  /** From its first instruction on; *background* without it (see `setPriority`). */
  readonly priority?: "background" | "service";
}

export type BoardCondition =
  | { readonly state: "off" }
  | {
      /** *dead*: it panicked or shut itself down, and is kept for its evidence. */
      readonly state: "running" | "dormant" | "dead";
      readonly instance: string;
      /** Process id of the board's main process, and its start time in clock ticks (proc(5), stat field 22). */
      readonly pid: number;
      readonly startTicks: number;
      /** Why it is dead. */
      readonly reason?: string;
    };

/** Processor time and memory of all of a board's processes, from /proc and cgroups alone. */
export interface BoardUsage {
  /** Nanoseconds of processor time since the board started, by the scheduler's account; all threads. */
  readonly cpuNs: number;
  /** What it takes of the host's memory: pages that its process has, or that its group is charged with, files in memory included. */
  readonly residentBytes: number;
}

/** Which of the host's cores a board uses, by their numbers. */
export interface BoardPlacement {
  /** Of its virtual processors; `null`: all that the daemon may use. */
  readonly cores: readonly number[] | null;
  /** Of its other threads (emulation of devices, input and output); `null`: the same as `cores`. A board without such threads ignores it. */
  readonly emulator: readonly number[] | null;
}

/** How the host holds a board, from /proc and control groups alone. */
export interface BoardConfinement {
  /** A list as the kernel prints it (`2-3`): what its virtual processors may use now, or will if it is off; `null`: all. */
  readonly cores: string | null;
  /** The same of its other threads. */
  readonly emulator: string | null;
  /**
   * Its share of a processor that both boards want, in percent of a full one. 0: it runs when nobody else does. A board in the background
   * that gets next to nothing is raised, so that it comes to an end. `null`: the host has no way to hold it back.
   */
  readonly sharePercent: number | null;
  /**
   * How many of its processes the kernel has killed since it was started, because the board wanted more memory than it may have; 0 of one that is off.
   * What a board survives it may not tell by itself.
   */
  readonly memoryKills: number;
  /** What is asked for and not so, or went wrong and was survived, as sentences for people; nothing if all is well. */
  readonly lacks: readonly string[];
}

/** What a board says of its own accord; the listener is called in order, and must not throw. */
export type BoardEvent =
  | { readonly type: "ready"; readonly version: string }
  | { readonly type: "status"; readonly text: string }
  | { readonly type: "stopping" }
  /** It has not said that it lives (`WATCHDOG=1`) for as long as it may be silent. It may do more work, or none. */
  | { readonly type: "hung"; readonly detail: string }
  /** The guest crashed, shut down or reset, or its process ended. After it the board does no more work. */
  | {
      readonly type: "died";
      readonly cause: "panic" | "shutdown" | "reset" | "exit";
      readonly detail: string;
    };

/** Optional programs of a board, run inside it (docs/board-kit.md). */
export const hookNames = [
  "standby",
  "quiesce",
  "export-state",
  "import-state",
  "activate",
  "deactivate",
] as const;
export type HookName = (typeof hookNames)[number];

/** A board's console while somebody is attached to it. */
export interface BoardConsole {
  /**
   * What the board writes from now on; ends when the board no longer runs, or with the signal's abort. A reader who is slow misses
   * some of it, and is told so by a line in its place: the board never waits for a reader.
   */
  readonly output: AsyncIterable<Uint8Array>;
  /** Types on the console; resolves once the board's serial port has room for all of it. Errors: `board-not-running`; the signal's reason. */
  write(bytes: Uint8Array): Promise<void>;
}

/**
 * Something of the host that a board can be given while it runs, and that can be taken from it. Its node is `SystemNames.deviceNode`;
 * whoever gives it makes the node, and lets the board's process open it for as long as `plug` takes.
 */
export interface BoardDevice {
  /** Unique in a board, and known when it starts: the name of the service that it is. */
  readonly id: string;
  /** *disk*: a block device, which the board sees as a virtio disk whose serial number is the id. *usb*: a USB device. */
  readonly kind: "disk" | "usb";
}

export interface Board {
  readonly name: BoardName;
  /** Host of the board's mgmt card as `net.connect` takes it, scope included: `fe80::…%card`. */
  readonly mgmtHost: string;
  /** What it is; of a board that may be either: what it was set up as, and until then what it usually is. */
  readonly kind: BoardKind;

  /**
   * Makes what the board needs on the host while it is off: cards, directories. Repeatable.
   * @param kind what it is to be when it starts next, if it may be either: its cards are of that kind then, made anew if they were of the
   * other, so whoever joined them to something does so again. A board that is not off stays what it is. Its usual kind if it is left out.
   */
  setUp(signal: AbortSignal, kind?: BoardKind): Promise<void>;
  /** Stops the board and removes all that `setUp` made. Repeatable. */
  tearDown(signal: AbortSignal): Promise<void>;

  inspect(): Promise<BoardCondition>;
  /** `undefined` while the board is off. */
  usage(): Promise<BoardUsage | undefined>;

  /**
   * Boots the board; resolves when its process runs and can be inspected, long before READY.
   * A start of the instance that already runs adopts it. Any other instance that runs is an error: `board-start-failed`.
   * What is left of a dead one is cleared away first. Software for a kind that the board cannot be is an error too.
   * A signal that aborts with a `board-start-failed` is a limit of time: the error then tells what was waited for. What is killed while it
   * starts the board is a `board-start-killed`: another try may come further.
   */
  start(start: BoardStart, signal: AbortSignal): Promise<void>;
  /**
   * Resolves with the version that the board reported with READY; asks again after an adoption. Where the board has the means, its clock is
   * the host's then.
   * Errors: `board-died`; the signal's reason.
   */
  ready(signal: AbortSignal): Promise<{ readonly version: string }>;
  /** Freezes the board: memory kept, no processor time from here on, and nothing of what is sent to it is kept for it. */
  pause(signal: AbortSignal): Promise<void>;
  /** Wakes the board and puts its clock right. The caller has shut the fence before. */
  resume(signal: AbortSignal): Promise<void>;
  /** Ends the board and frees its memory. */
  stop(signal: AbortSignal): Promise<void>;

  /**
   * *background*: the board that serves does not feel it. Said again it changes nothing: one that starved and was raised stays so.
   * *service*: full weight, from the takeover on. What the host refuses is one of `BoardConfinement.lacks`, and no error.
   */
  setPriority(priority: "background" | "service"): Promise<void>;
  /**
   * Lets the board use these cores from now on, every thread of it, and at each later start. Also of a board that is dormant, which is not
   * woken, or off. Errors: `command-failed` (the kernel refuses them: the board stays where it was, and the next start is on them).
   */
  place(placement: BoardPlacement, signal: AbortSignal): Promise<void>;
  /** How the host holds the board; costs it nothing. */
  confinement(): Promise<BoardConfinement>;
  /** Runs a hook inside the board; `absent` if the board has none of that name. Errors: `hook-failed`, the signal's reason. */
  runHook(hook: HookName, signal: AbortSignal): Promise<"done" | "absent">;

  /** Ids of the devices that the board has: that its process has open, by the kernel's account. Also of a board that is dormant or dead. */
  plugged(): Promise<readonly string[]>;
  /**
   * Gives the board a device; it finds it as if it had been plugged in. Errors: `board-not-running` (also of a dormant board, to which
   * nobody talks), `command-failed` (the board does not take it, and has not got it).
   */
  plug(device: BoardDevice, signal: AbortSignal): Promise<void>;
  /**
   * Asks the board to let go of a device, and resolves when it has: its process has closed it. A board that is off has let go of all. The
   * caller's signal is the deadline; a board that has not let go by then may still do so later.
   * Errors: `board-not-running` (dormant or dead), `command-failed`.
   */
  unplug(id: string, signal: AbortSignal): Promise<void>;

  /** Calls `listener` for each event from now on; returns what ends that. */
  subscribe(listener: (event: BoardEvent) => void): () => void;
  /** The last lines of the console, at most `lines` of them, also of a board that is off. */
  consoleTail(lines: number): Promise<string[]>;
  /** The last lines of the console, at most `lines` of them, then each line as it is complete, from one run of the board to the next, until the signal aborts. */
  followConsole(lines: number, signal: AbortSignal): AsyncIterable<string>;
  /**
   * Attaches somebody to the console of a board that runs, until the signal aborts or the board no longer runs; one at a time.
   * Errors: `board-not-running` (also of a dormant board, to which nobody talks), `console-in-use`.
   */
  attachConsole(signal: AbortSignal): Promise<BoardConsole>;
  /** Lets go of the board without touching it: the daemon stops, the board goes on. */
  release(): Promise<void>;
}
