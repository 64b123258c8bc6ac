/** What a phase works with: the parts of the system, the facts of its story, and ways to note, to show and to wait. */

import type { Board, BoardName } from "../board/board.ts";
import type { DormancyDepth } from "../board/depth.ts";
import type { BundleSource, Delivery } from "../delivery/delivery.ts";
import { type ErrorCode, TwinboardError } from "../errors.ts";
import type { AnswerTimes } from "../health/answer-times.ts";
import type { Health } from "../health/health.ts";
import type { Service } from "../service/service.ts";
import type { Slot } from "../slot/slot.ts";
import type { Clock } from "../system/clock.ts";
import { factsOf, type NotedFacts, type StoryFacts } from "./facts.ts";
import type { Journal } from "./journal.ts";
import {
  bringsBack,
  type JournalRecord,
  type PhaseName,
  type ProgressEvent,
  type RecordEvent,
} from "./record.ts";
import type { Recorder } from "./recorder.ts";
import type { SystemFile } from "./system-file.ts";

export interface Settings {
  readonly system: string;
  readonly compatible: string;
  readonly bootTimeoutMs: number;
  readonly verifyTimeoutMs: number;
  readonly probationMs: number;
  /** How often a board is booted, in all, before its software is given up. */
  readonly attempts: number;
  /** How long a take-back is tried again before the system is *stuck*. */
  readonly takeBackTimeoutMs: number;
  readonly hookTimeoutMs: number;
  /** Whether the other board takes the service over when the holder fails outside an upgrade. */
  readonly failover: boolean;
  /** How deep a board that is relieved sleeps. */
  readonly dormancy: DormancyDepth;
}

/** Everything that a system is made of. Drivers are chosen by the daemon; the story knows only contracts. */
export interface Parts {
  readonly boards: Readonly<Record<BoardName, Board>>;
  readonly slots: Readonly<Record<BoardName, Slot>>;
  readonly service: Service;
  readonly delivery: Delivery;
  readonly health: Health;
  readonly journal: Journal;
  readonly systemFile: SystemFile;
  readonly clock: Clock;
  readonly settings: Settings;
  /** The host's boot id. */
  readonly boot: string;
  /** The higher of two versions (UAPI version format); `null` is lower than any. */
  readonly highestVersion: (floor: string | null, version: string) => string;
  /** Told what went wrong and yet stopped nothing, because the service comes first: a record that could not be written, a look that failed. */
  readonly onTrouble: (error: unknown) => void;
}

export class Scene {
  readonly parts: Parts;
  /** Aborts when the story is cancelled, or the daemon stops. */
  readonly signal: AbortSignal;
  readonly source: BundleSource | undefined;
  /** Whether the story can still be cancelled. Closed, for ever, in the same turn in which that was checked. */
  #cancellable = true;
  /** Facts of this many records, so that the fold is made once for each. */
  #folded: { readonly count: number; readonly facts: StoryFacts } | undefined;
  readonly #recorder: Recorder;
  readonly #records: JournalRecord[];
  readonly #onProgress: (event: ProgressEvent) => void;

  constructor(options: {
    readonly parts: Parts;
    readonly recorder: Recorder;
    /** Those of the story so far; the scene appends to this array. */
    readonly records: JournalRecord[];
    readonly signal: AbortSignal;
    readonly source?: BundleSource | undefined;
    readonly onProgress: (event: ProgressEvent) => void;
  }) {
    this.parts = options.parts;
    this.#recorder = options.recorder;
    this.signal = options.signal;
    this.source = options.source;
    this.#records = options.records;
    this.#onProgress = options.onProgress;
  }

  get facts(): StoryFacts {
    const count = this.#records.length;
    if (this.#folded?.count !== count) this.#folded = { count, facts: factsOf(this.#records) };
    return this.#folded.facts;
  }

  get cancellable(): boolean {
    return this.#cancellable;
  }

  /** The story has failed by itself: it is being undone, and a wish to cancel it comes too late. */
  beginUndoing(): void {
    this.#cancellable = false;
  }

  /** From here on the story is carried to an end of its own. Errors: the signal's reason, if it was cancelled before. */
  closeToCancellation(): void {
    this.signal.throwIfAborted();
    this.#cancellable = false;
  }

  /** The same scene under another signal: undoing goes on when the story was cancelled. */
  withSignal(signal: AbortSignal): Scene {
    const { parts, source } = this;
    return new Scene({
      parts,
      source,
      signal,
      recorder: this.#recorder,
      records: this.#records,
      onProgress: this.#onProgress,
    });
  }

  /**
   * Appends a record of this story; on the disk before it resolves. A story that is being undone, that is past its commit point, or that
   * brings the service back goes on without the disk.
   */
  async record(
    event: RecordEvent,
    phase: PhaseName | null,
    data: Record<string, unknown> = {},
  ): Promise<void> {
    const { clock, boot } = this.parts;
    const { id, kind, phase: current, error } = this.facts;
    const entry = { boot, story: id, kind, phase, event, at: clock.now(), data };
    const undoing = error !== null || event === "phase-failed" || event === "recovered";
    const serviceFirst = undoing || bringsBack(kind) || current === "commit";
    const record = await (serviceFirst ? this.#recorder.writeOrKeep(entry) : this.#recorder.write(entry));
    this.#records.push(record);
  }

  /** Notes facts that recovery needs, before what they announce is done. */
  async note(facts: Partial<NotedFacts>): Promise<void> {
    await this.record("noted", this.facts.phase, { ...facts });
  }

  /** Notes what only the report needs: a disk that does not take it stops nothing. */
  async noteForReport(facts: Partial<NotedFacts>): Promise<void> {
    await this.note(facts).catch(this.parts.onTrouble);
  }

  /** Notes what was answered to health checks, at the end of the phase that asked. */
  async noteAnswers(answers: AnswerTimes): Promise<void> {
    const checks = answers.series();
    if (checks.length > 0) await this.noteForReport({ checks });
  }

  /** Notes, at the end of a phase, what the kernel killed of the new board: it may have survived that, and told nobody. */
  async noteMemoryKills(): Promise<void> {
    const { to, woken, memoryKills: known } = this.facts;
    // Of one that was woken it may have been long ago.
    if (woken) return;
    const held = await this.parts.boards[to].confinement().catch(this.parts.onTrouble);
    if (held && held.memoryKills > (known ?? 0)) await this.noteForReport({ memoryKills: held.memoryKills });
  }

  progress(event: Omit<ProgressEvent, "story" | "phase">): void {
    const { id, phase } = this.facts;
    if (phase !== null) this.#onProgress({ story: id, phase, ...event });
  }

  /** Runs `work` under a deadline of its own. Errors: `code` when it passes; what `work` throws before that. */
  async within<T>(limitMs: number, code: ErrorCode, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const deadline = new AbortController();
    const sleeper = new AbortController();
    const expiry = this.parts.clock.sleep(limitMs, sleeper.signal).then(
      () => deadline.abort(new TwinboardError(code, { detail: `within ${limitMs} ms` })),
      () => undefined,
    );
    try {
      return await work(AbortSignal.any([this.signal, deadline.signal]));
    } finally {
      sleeper.abort();
      await expiry;
    }
  }

  /**
   * Runs `work` on a scene whose signal aborts with `board-died` as soon as the board is known to be dead. What was under way has ended
   * when this rejects, so that nothing of it can happen after what the caller does next.
   */
  async whileAlive<T>(name: BoardName, work: (scene: Scene) => Promise<T>): Promise<T> {
    const board = this.parts.boards[name];
    const death = new AbortController();
    const die = (detail: string): void => {
      death.abort(new TwinboardError("board-died", { detail: `board ${name}: ${detail}` }));
    };
    const unsubscribe = board.subscribe((event) => {
      if (event.type === "died") die(`${event.cause}: ${event.detail}`);
    });
    try {
      const condition = await board.inspect();
      if (condition.state === "dead") die(condition.reason ?? "it does no more work");
      else if (condition.state !== "running") die(`it is ${condition.state}`);
      death.signal.throwIfAborted();
      return await work(this.withSignal(AbortSignal.any([this.signal, death.signal])));
    } finally {
      unsubscribe();
      // The dead board's own errors come second: what counts is that it died.
      death.signal.throwIfAborted();
    }
  }
}
