/** What `status` tells of a system. */
import type { BoardConfinement, BoardName, BoardUsage } from "../board/board.ts";
import type { DormancyDepth } from "../board/depth.ts";
import type { BoardKind } from "../board/kind.ts";
import type { DrainResult, Trouble } from "../service/service.ts";
import type { SlotMark } from "../slot/slot.ts";
import type { Outcome, PhaseName, ProgressEvent, StoryKind } from "./record.ts";

/** docs/story.md's words for what a board is doing. */
export type BoardRole = "in service" | "draining" | "standby" | "dormant" | "booting" | "dead" | "off";

/** How a board that does not hold sleeps. `null` in it: not known. */
export interface DormancyStatus {
  /** As it was laid to sleep, which need not be what the configuration says by now. */
  readonly depth: DormancyDepth | null;
  /** When it was paused or stopped, ms since 1970. */
  readonly since: number | null;
  /** Milliseconds that its way back took when it was last measured: to wake a board of its kind, or to boot and verify its software. */
  readonly wayBackMs: number | null;
}

export interface BoardStatus {
  readonly role: BoardRole;
  /** What it is; of a board that is off: what its slot holds software for. */
  readonly kind: BoardKind;
  /** `null`: nothing was ever installed. */
  readonly slot: SlotMark | null;
  readonly version: string | null;
  readonly pid: number | null;
  readonly usage: BoardUsage | null;
  /** Milliseconds since 1970; `null` unless dormant. */
  readonly dormantSince: number | null;
  /** Processor time since it went dormant; `null` unless dormant. */
  readonly dormantCpuNs: number | null;
  /** `null`: it is neither dormant nor kept off. */
  readonly dormancy: DormancyStatus | null;
  /** On which cores it runs, and what the host does not do for it. One that does not run has no share of a processor (`sharePercent` is `null`). */
  readonly confinement: BoardConfinement;
}

export interface StoryStatus {
  readonly id: string;
  readonly kind: StoryKind;
  readonly phase: PhaseName | null;
  readonly from: string | null;
  readonly to: string | null;
  readonly startedAt: number;
  readonly progress: ProgressEvent | null;
}

/** How a story ended: the last record of its journal, and what `upgrade` prints. */
export interface StoryResult {
  readonly id: string;
  readonly kind: StoryKind;
  readonly outcome: Outcome;
  /** Versions. */
  readonly from: string | null;
  readonly to: string | null;
  /** Milliseconds spent in each phase that was entered. */
  readonly phases: Partial<Readonly<Record<PhaseName, number>>>;
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly remedy: string;
    readonly phase: string | null;
    /** Last console lines of a board that failed. */
    readonly console: readonly string[];
  } | null;
  readonly drain: DrainResult | null;
  readonly endedAt: number;
}

export interface FailoverStatus {
  readonly ready: boolean;
  /** Why not; `null` if it is ready. */
  readonly reason: string | null;
}

export interface SystemStatus {
  readonly system: string;
  readonly holder: BoardName | null;
  readonly draining: BoardName | null;
  readonly primary: BoardName | null;
  readonly floor: string | null;
  /** Why a person is needed, or `null`. */
  readonly stuck: { readonly code: string; readonly reason: string } | null;
  /** Whether the other board would take the service over now if the holder failed. */
  readonly failover: FailoverStatus;
  /** Services that do not work as they should; nothing if all is well. */
  readonly troubles: readonly Trouble[];
  readonly story: StoryStatus | null;
  readonly lastStory: StoryResult | null;
  readonly boards: Readonly<Record<BoardName, BoardStatus>>;
  /** Sequence number of the newest record. */
  readonly seq: number;
}
