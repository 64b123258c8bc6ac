/** The stories of a system, one at a time: begins them, lets them run, ends them early, and knows what came of them. */
import type { BundleSource } from "../delivery/delivery.ts";
import { TwinboardError } from "../errors.ts";
import { type NotedFacts, type StoryFacts, unknownFacts } from "./facts.ts";
import { bringsBack, type JournalRecord, type ProgressEvent, type StoryKind } from "./record.ts";
import { Recorder } from "./recorder.ts";
import { DaemonStopping } from "./runner.ts";
import { type Parts, Scene } from "./scene.ts";
import type { StoryResult } from "./status.ts";

/** Bytes come by the thousand; nobody sees more than ten pictures of them a second. */
const leastProgressMs = 100;

interface RunningStory {
  readonly controller: AbortController;
  readonly scene: Scene;
}

export class Stories {
  /** Called whenever a story has ended and no other is under way. */
  readonly idleListeners = new Set<() => void>();
  /** Called whenever a story has begun, or was taken up. */
  readonly beganListeners = new Set<() => void>();
  /** Called with each picture of how far a phase is. */
  readonly progressListeners = new Set<(event: ProgressEvent) => void>();
  /** A defect of ours that ended a story without a result. */
  defect: unknown;
  readonly #parts: Parts;
  readonly #recorder: Recorder;
  /** Reserved from the moment a story is asked for until it has ended; `undefined` when none is. */
  #reserved: PromiseWithResolvers<void> | undefined;
  /** What it is reserved for, for people, while no story tells that itself. */
  #purpose = "";
  #closed = false;
  #abandoned = false;
  /** Number of the newest story. */
  #number = 0;
  #running: RunningStory | undefined;
  #progress: ProgressEvent | null = null;
  #progressShownAt = Number.NEGATIVE_INFINITY;
  #last: StoryResult | null = null;
  #stuck: StoryResult | null = null;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#recorder = new Recorder(parts.journal, parts.onTrouble);
    for (const result of this.#results()) this.#conclude(result);
  }

  /** Nothing more is to be taken up. */
  get ending(): boolean {
    return this.#closed || this.#abandoned;
  }

  /** A story is under way, or about to begin. */
  get busy(): boolean {
    return this.#reserved !== undefined;
  }

  /** Facts of the story that is under way. */
  get facts(): StoryFacts | null {
    return this.#running?.scene.facts ?? null;
  }

  get progress(): ProgressEvent | null {
    return this.#progress;
  }

  get last(): StoryResult | null {
    return this.#last;
  }

  /** The story that left the system stuck. */
  get stuck(): StoryResult | null {
    return this.#stuck;
  }

  /**
   * Reserves the system; `begin` says what is to be done, and `work` does it after this has resolved. Errors: `busy`; those of `begin`.
   * @param purpose told to others who ask meanwhile.
   */
  async reserve<T>(begin: () => Promise<T>, work: (begun: T) => Promise<void>, purpose: string): Promise<T> {
    if (this.busy || this.#closed) throw new TwinboardError("busy", { detail: this.#describe() });
    this.#reserved = Promise.withResolvers<void>();
    this.#purpose = purpose;
    try {
      const begun = await begin();
      void this.#untilDone(work(begun));
      return begun;
    } catch (error) {
      // Nothing was begun, and nothing has ended: who waits for that hears nothing.
      this.#reserved.resolve();
      this.#reserved = undefined;
      throw error;
    }
  }

  async #untilDone(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      this.defect = error;
    } finally {
      this.#free();
    }
  }

  #free(): void {
    const reserved = this.#reserved;
    this.#reserved = undefined;
    reserved?.resolve();
    for (const listener of this.idleListeners) listener();
  }

  #describe(): string {
    const { facts } = this;
    if (facts === null) return this.#closed ? "the daemon is stopping" : this.#purpose;
    return `${facts.id}, ${facts.kind} to ${facts.toVersion ?? "a bundle"}, in ${facts.phase ?? "its beginning"}`;
  }

  /** Writes the first record of a story. Errors: those of the disk, except for a story that brings the service back. */
  async begin(kind: StoryKind, facts: Partial<NotedFacts>): Promise<JournalRecord> {
    const { journal, boot, clock, boards } = this.#parts;
    // The story before must be whole in the journal: its end decides what recovery does.
    if (!bringsBack(kind)) await this.#recorder.catchUp();
    // With a full disk the journal does not know of the story before.
    const newest = journal.records.reduce(
      (highest, { story }) => Math.max(highest, Number.parseInt(story, 10)),
      this.#number,
    );
    this.#number = newest + 1;
    const story = `${String(this.#number).padStart(6, "0")}-${kind}`;
    const { from = null, to = "a", content = null } = facts;
    const kinds: Pick<NotedFacts, "fromKind" | "toKind"> = {
      fromKind: from === null ? null : boards[from].kind,
      toKind: content === null ? null : (content.kind ?? boards[to].kind),
    };
    const data = { ...unknownFacts, ...kinds, ...facts };
    const entry = { boot, story, kind, phase: null, event: "story-began", at: clock.now(), data } as const;
    // With a full disk nothing new is installed, but what is installed comes back into service.
    return await (bringsBack(kind) ? this.#recorder.writeOrKeep(entry) : this.#recorder.write(entry));
  }

  /** Lets `act` run or undo the story of these records, to its end or to the daemon's. */
  async perform(
    records: JournalRecord[],
    source: BundleSource | undefined,
    act: (scene: Scene) => Promise<StoryResult>,
  ): Promise<void> {
    if (this.ending) return;
    const controller = new AbortController();
    const scene = new Scene({
      parts: this.#parts,
      recorder: this.#recorder,
      records: [...records],
      source,
      signal: controller.signal,
      onProgress: (event) => this.#showProgress(event),
    });
    this.#running = { controller, scene };
    this.defect = undefined;
    for (const listener of this.beganListeners) listener();
    try {
      this.#conclude(await act(scene));
    } catch (error) {
      if (!(error instanceof DaemonStopping)) this.defect = error;
    } finally {
      this.#running = undefined;
      this.#progress = null;
      letGo(source);
    }
  }

  /** What was stuck stays so until a story moves the service or brings it back: a refusal, or a failure before that, mends nothing. */
  #conclude(result: StoryResult): void {
    this.#last = result;
    if (result.outcome === "stuck") this.#stuck = result;
    if (result.outcome === "committed" || result.outcome === "rolled-back") this.#stuck = null;
  }

  #showProgress(event: ProgressEvent): void {
    const now = this.#parts.clock.monotonic();
    const sameWait = this.#progress?.phase === event.phase && this.#progress.awaiting === event.awaiting;
    this.#progress = event;
    if (sameWait && event.bytes !== event.totalBytes && now - this.#progressShownAt < leastProgressMs) return;
    this.#progressShownAt = now;
    for (const listener of this.progressListeners) listener(event);
  }

  /** Ends the story that is under way, cleanly. Errors: `nothing-to-cancel`, `too-late-to-cancel`. */
  cancel(): Promise<void> {
    const refusal = this.#refusalToCancel();
    if (refusal !== undefined) return Promise.reject(refusal);
    this.#running?.controller.abort(new TwinboardError("cancelled"));
    return Promise.resolve();
  }

  #refusalToCancel(): TwinboardError | undefined {
    if (this.#running === undefined) return new TwinboardError("nothing-to-cancel");
    const { facts, cancellable } = this.#running.scene;
    if (bringsBack(facts.kind)) {
      return new TwinboardError("too-late-to-cancel", { detail: "a board is taking the service over" });
    }
    return cancellable
      ? undefined
      : new TwinboardError("too-late-to-cancel", { detail: "it is committed, or being undone already" });
  }

  /** How a story ended; `undefined` while it runs, or if there is none of that id. */
  result(id: string): Promise<StoryResult | undefined> {
    if (this.#last?.id === id) return Promise.resolve(this.#last);
    return Promise.resolve(this.#results().find((result) => result.id === id));
  }

  #results(): StoryResult[] {
    return this.#parts.journal.records
      .filter((record) => record.event === "story-ended")
      .map((record) => record.data["result"] as StoryResult);
  }

  /** Resolves when no story is under way, nor about to begin. */
  async idle(): Promise<void> {
    await this.#reserved?.promise;
  }

  /** Ends the story that is under way for a reason of the system's own; it is undone. Too late for it: nothing happens. */
  interrupt(reason: TwinboardError): void {
    if (this.#running?.scene.cancellable === true) this.#running.controller.abort(reason);
  }

  /** A story that began by itself is let go of at once; any other is to be cancelled by whoever asked for it. */
  async abandonAutomatic(): Promise<void> {
    const { facts } = this;
    if (facts === null || facts.kind === "upgrade" || facts.kind === "rollback") return;
    this.#abandoned = true;
    this.#running?.controller.abort(new DaemonStopping("the system is taken down"));
    await this.idle();
  }

  /** What is asked for from now on is done; what was let go of is the next daemon's. */
  endAbandoning(): void {
    this.#abandoned = false;
  }

  /** Leaves the story that is under way to the next daemon, and begins no other. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#running?.controller.abort(new DaemonStopping("the daemon is stopping"));
    await this.idle();
  }
}

/** A sender whose bundle was not read, or not to its end, must not wait for ever. Not awaited: one that hangs would not answer. */
function letGo(source: BundleSource | undefined): void {
  if (source?.kind === "stream")
    source.stream[Symbol.asyncIterator]()
      .return?.()
      .catch(() => undefined);
}
