/** What a board that is a machine is made of. */
import type { SystemNames } from "../../system/names.ts";
import type { BoardDevice, BoardName, BoardPlacement } from "../board.ts";
import type { ConsoleLog } from "../console.ts";
import type { BoardIdentity } from "../identity.ts";
import type { Accelerator, ArchitectureName } from "./architecture.ts";
import type { MachineUser } from "./board-directories.ts";
import type { CanController } from "./command-line.ts";
import type { BoardLine } from "./line-ports.ts";

export interface QemuBoardOptions {
  readonly name: BoardName;
  readonly names: SystemNames;
  readonly memoryBytes: number;
  /** It gives back what memory it can spare when it is laid to sleep. */
  readonly isLean?: boolean;
  /** Most that the board's process may take of the host; what it needs if it is left out. */
  readonly memoryLimitBytes?: number;
  readonly cpus: number;
  /** Until `place` says otherwise; all cores that the daemon may use if it is left out. */
  readonly placement?: BoardPlacement;
  /** The host's own if it is left out. */
  readonly architecture?: ArchitectureName;
  readonly accelerator: Accelerator;
  /** Whom QEMU runs as. */
  readonly user: MachineUser;
  readonly identity: BoardIdentity;
  /** Where the console is kept. */
  readonly stateDirectory: string;
  /** Another driver's of the same board, if it may be either kind: who follows it goes on following. */
  readonly console?: ConsoleLog | undefined;
  /** How long a board that says that it lives may be silent, 2 s at least; without it nobody minds. */
  readonly watchdogMs?: number | undefined;
  /** What it can be given while it runs. */
  readonly devices?: readonly BoardDevice[] | undefined;
  readonly cans?: readonly CanController[] | undefined;
  /** Serial lines and streams of the service: the board has a port for each. */
  readonly lines?: readonly BoardLine[];
}
