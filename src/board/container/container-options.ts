/** What a board that is a container is made of, and whose its users are on the host. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { SystemNames } from "../../system/names.ts";
import type { BoardName, BoardPlacement } from "../board.ts";
import type { ConsoleLog } from "../console.ts";
import type { BoardIdentity } from "../identity.ts";
import { idCount } from "./oci-spec.ts";
import type { RuntimeName } from "./runtime.ts";

export interface ContainerBoardOptions {
  readonly name: BoardName;
  readonly names: SystemNames;
  readonly memoryBytes: number;
  /** It gives back what memory it can spare when it is laid to sleep. */
  readonly isLean?: boolean;
  readonly cpus: number;
  /** Until `place` says otherwise; all cores that the daemon may use if it is left out. */
  readonly placement?: BoardPlacement;
  readonly runtime: RuntimeName;
  readonly identity: BoardIdentity;
  /** Where the console is kept. */
  readonly stateDirectory: string;
  /** Another driver's of the same board, if it may be either kind: who follows it goes on following. */
  readonly console?: ConsoleLog | undefined;
  /** How long a board that says that it lives may be silent, 2 s at least; without it nobody minds. */
  readonly watchdogMs?: number | undefined;
  /** *unpack*: the root file system is unpacked into memory, as where it cannot be mounted. */
  readonly rootfs?: "mount" | "unpack";
}

/** Who the container is, how it ended, and what its launch script left: root's alone. */
export function containerRecords(names: SystemNames, board: BoardName): string {
  return join(names.runDirectory, `container-${board}`);
}

/** Where ranges of ids begin that no user of a host has: below the sign bit, above what systems give to people. */
const firstRange = 0x7000_0000;
const ranges = 4096;

/** The same for each run, and another for each board of each system. */
export function firstIdOf(id: string): number {
  const number = createHash("sha256").update(id).digest().readUInt16BE(0) % ranges;
  return firstRange + number * idCount;
}
