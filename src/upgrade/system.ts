/** One pair of boards and the service they provide: starts stories, one at a time; recovers them; tells what is. */
import { type BoardName, boardNames, otherBoard } from "../board/board.ts";
import type { BundleSource } from "../delivery/delivery.ts";
import { type ErrorCode, TwinboardError } from "../errors.ts";
import { layToSleep } from "./dormancy.ts";
import { type StoryEvent, storyEvents } from "./event-stream.ts";
import { factsOf, type NotedFacts, type StoryFacts, unknownFacts } from "./facts.ts";
import type { JournalRecord, ProgressEvent, StoryKind } from "./record.ts";
import { Recorder } from "./recorder.ts";
import { planRecovery, type RecoveryPlan } from "./recovery.ts";
import { DaemonStopping, describeError, rowsOf, runStory, undoStory } from "./runner.ts";
import { type Parts, Scene } from "./scene.ts";
import type { StoryResult, SystemStatus } from "./status.ts";
import { statusOfSystem } from "./status-of-system.ts";

const leastProgressMs = 100;
const settleTimeoutMs = 10_000;

interface RunningStory {
  readonly controller: AbortController;
  readonly scene: Scene;
}

/** Why a story is undone that had not failed when the daemon before us ended. */
const codeOf = {
  reboot: "host-rebooted",
  died: "board-died",
  undo: "undone-unrecorded",
} as const satisfies Record<string, ErrorCode>;

export class System {
  readonly #parts: Parts;
  readonly #recorder: Recorder;
  readonly #progressListeners = new Set<(event: ProgressEvent) => void>();
  /** Reserved from the moment a story is asked for until it has ended. */
  #busy = false;
  #closed = false;
  #running: RunningStory | undefined;
  #work: Promise<void> = Promise.resolve();
  #progress: ProgressEvent | null = null;
  #progressShownAt = Number.NEGATIVE_INFINITY;
  #lastResult: StoryResult | null = null;
  /** The story that left the system stuck. */
  #stuckResult: StoryResult | null = null;
  /** A defect of ours that ended a story without a result. */
  #defect: unknown;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#recorder = new Recorder(parts.journal, parts.onJournalTrouble);
  }

  /**
   * Makes the host ready, adopts what runs, and takes up what an earlier daemon left: resolves when that is under way.
   * Errors: those of `Service.setUp` and `Board.setUp`.
   */
  async start(signal: AbortSignal): Promise<void> {
    const { boards, service, journal } = this.#parts;
    for (const result of this.#results()) this.#conclude(result);
    await service.setUp(signal);
    // From here on a transaction of the daemon before us, still on its way, fails.
    await service.raiseEpoch();
    for (const name of boardNames) {
      await boards[name].setUp(signal);
      await service.attach(name, signal);
      await this.#adopt(name, signal);
    }
    const unfinished = [...new Set(journal.records.map((record) => record.story))]
      .map((story) => journal.records.filter((record) => record.story === story))
      .filter((records) => factsOf(records).result === null);
    this.#busy = true;
    this.#work = this.#recover(unfinished).finally(() => {
      this.#busy = false;
    });
    this.#work.catch(() => undefined);
  }

  /** Lets the driver know a board again that runs since before this daemon; a dormant one is left alone. */
  async #adopt(name: BoardName, signal: AbortSignal): Promise<void> {
    const board = this.#parts.boards[name];
    const condition = await board.inspect();
    const content = this.#parts.systemFile.state.slots[name]?.content;
    if (condition.state !== "running" || !content) return;
    await board.start({ ...content, instance: condition.instance }, signal);
  }

  async #recover(unfinished: JournalRecord[][]): Promise<void> {
    const { boards, boot, systemFile } = this.#parts;
    const later: { records: JournalRecord[]; plan: RecoveryPlan }[] = [];
    for (const records of unfinished) {
      const facts = factsOf(records);
      const plan = planRecovery(facts, rowsOf(facts), {
        rebooted: facts.boot !== boot,
        newBoard: await boards[facts.to].inspect(),
        committed: systemFile.state.primary === facts.to,
        slotIsBad: systemFile.state.slots[facts.to]?.mark === "bad",
      });
      // What is undone, and what is past its commit point, decides which board is primary.
      const first = plan.action === "roll-back" || (plan.action === "go-on" && plan.phase === "commit");
      if (first) await this.#carryOn(records, plan);
      else later.push({ records, plan });
    }
    await this.#restartIfNobodyServes(later.map(({ records }) => factsOf(records)));
    for (const { records, plan } of later) await this.#carryOn(records, plan);
    await this.#settle();
  }

  /** A board that is neither holder nor dormant when no story is under way is one that could not be paused: it is tried again. */
  async #settle(): Promise<void> {
    const { boards, service } = this.#parts;
    const { holder } = await service.inspect();
    if (this.#closed || holder === null) return;
    const other = boards[otherBoard(holder)];
    if ((await other.inspect()).state !== "running") return;
    try {
      await service.fence(other.name);
      await layToSleep(this.#parts, other, AbortSignal.timeout(settleTimeoutMs));
    } catch (error) {
      this.#defect = error;
    }
  }

  async #carryOn(records: JournalRecord[], plan: RecoveryPlan): Promise<void> {
    const facts = factsOf(records);
    await this.#perform(records, undefined, async (scene) => {
      await scene.record("recovered", facts.phase, { plan });
      if (plan.action === "go-on") return await runStory(scene, plan.phase);
      if (plan.action === "nothing")
        throw new TwinboardError("internal", { detail: `${facts.id} has ended` });
      const error =
        facts.error ?? (await describeError(scene, plan.phase, new TwinboardError(codeOf[plan.reason])));
      await scene.record("phase-failed", plan.phase, { error });
      return await undoStory(scene, plan.phase, error);
    });
  }

  /** Boots the primary after a reboot of the host, or if it died while no daemon was there to see it. */
  async #restartIfNobodyServes(unfinished: readonly StoryFacts[]): Promise<void> {
    const { service, boards, systemFile } = this.#parts;
    const { primary, slots } = systemFile.state;
    const { holder } = await service.inspect();
    if (primary === null) return;
    if (holder !== null && (await boards[holder].inspect()).state === "running") return;
    // A restart that was interrupted goes on.
    if (unfinished.some((facts) => facts.kind === "restart" && facts.to === primary)) return;
    await this.#restart(primary);
    // Nobody serves yet: then good software on the other board does, and is the primary from its commit on.
    const other = otherBoard(primary);
    const nobody = (await service.inspect()).holder === null;
    if (nobody && slots[other]?.mark === "good") await this.#restart(other);
  }

  async #restart(to: BoardName): Promise<void> {
    const content = this.#parts.systemFile.state.slots[to]?.content;
    if (!content || this.#closed) return;
    const { version } = content;
    const facts: Partial<NotedFacts> = { to, toVersion: version, fromVersion: version, content };
    await this.#perform([await this.#begin("restart", facts)], undefined, (scene) => runStory(scene, null));
  }

  /**
   * Starts an upgrade; resolves once it has begun. Errors: `busy`. What becomes of it is told by `result` and `events`.
   */
  async upgrade(
    source: BundleSource,
    options: { readonly force: boolean },
  ): Promise<{ readonly id: string }> {
    return await this.#startStory("upgrade", source, async () => {
      const { holder } = await this.#parts.service.inspect();
      const { primary, slots } = this.#parts.systemFile.state;
      const from = holder ?? primary;
      return {
        from: holder,
        to: from === null ? "a" : otherBoard(from),
        fromVersion: from === null ? null : (slots[from]?.content?.version ?? null),
        force: options.force,
        sourcePath: source.kind === "path" ? source.path : null,
      };
    });
  }

  /** Starts a rollback to the previous software. Errors: `busy`, `nothing-to-roll-back-to`. */
  async rollback(): Promise<{ readonly id: string }> {
    return await this.#startStory("rollback", undefined, async () => {
      const { holder } = await this.#parts.service.inspect();
      const { slots } = this.#parts.systemFile.state;
      if (holder === null)
        throw new TwinboardError("nothing-to-roll-back-to", { detail: "no board is in service" });
      const to = otherBoard(holder);
      const slot = slots[to];
      if (slot?.mark !== "good" || slot.content === null) {
        throw new TwinboardError("nothing-to-roll-back-to", {
          detail: `slot ${to} is ${slot?.mark ?? "empty"}`,
        });
      }
      const fromVersion = slots[holder]?.content?.version ?? null;
      return { from: holder, to, fromVersion, toVersion: slot.content.version, content: slot.content };
    });
  }

  async #startStory(
    kind: StoryKind,
    source: BundleSource | undefined,
    begin: () => Promise<Partial<NotedFacts>>,
  ): Promise<{ readonly id: string }> {
    if (this.#busy || this.#closed) throw new TwinboardError("busy", { detail: this.#describeRunning() });
    this.#busy = true;
    let first: JournalRecord;
    try {
      first = await this.#begin(kind, await begin());
    } catch (error) {
      this.#busy = false;
      throw error;
    }
    this.#work = this.#perform([first], source, (scene) => runStory(scene, null)).finally(() => {
      this.#busy = false;
    });
    this.#work.catch(() => undefined);
    return { id: first.story };
  }

  #describeRunning(): string {
    const facts = this.#running?.scene.facts;
    if (facts === undefined) return this.#closed ? "the daemon is stopping" : "the system is starting";
    return `${facts.id}, ${facts.kind} to ${facts.toVersion ?? "a bundle"}, in ${facts.phase ?? "its beginning"}`;
  }

  async #begin(kind: StoryKind, facts: Partial<NotedFacts>): Promise<JournalRecord> {
    const { journal, boot, clock } = this.#parts;
    // The story before must be whole in the journal: its end decides what recovery does.
    if (kind !== "restart") await this.#recorder.catchUp();
    const number = Number.parseInt(journal.records.at(-1)?.story ?? "0", 10);
    const newest = journal.records.reduce(
      (highest, { story }) => Math.max(highest, Number.parseInt(story, 10)),
      number,
    );
    const story = `${String(newest + 1).padStart(6, "0")}-${kind}`;
    const data = { ...unknownFacts, ...facts };
    const entry = { boot, story, kind, phase: null, event: "story-began", at: clock.now(), data } as const;
    // With a full disk nothing new is installed, but what is installed comes back into service.
    return await (kind === "restart" ? this.#recorder.writeOrKeep(entry) : this.#recorder.write(entry));
  }

  async #perform(
    records: JournalRecord[],
    source: BundleSource | undefined,
    act: (scene: Scene) => Promise<StoryResult>,
  ): Promise<void> {
    if (this.#closed) return;
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
    this.#defect = undefined;
    try {
      this.#conclude(await act(scene));
    } catch (error) {
      if (!(error instanceof DaemonStopping)) this.#defect = error;
    } finally {
      this.#running = undefined;
      this.#progress = null;
    }
  }

  /** What was stuck stays so until a story moves the service or brings it back: a refusal, or a failure before that, mends nothing. */
  #conclude(result: StoryResult): void {
    this.#lastResult = result;
    if (result.outcome === "stuck") this.#stuckResult = result;
    if (result.outcome === "committed" || result.outcome === "rolled-back") this.#stuckResult = null;
  }

  /** Bytes come by the thousand; nobody sees more than ten pictures of them a second. */
  #showProgress(event: ProgressEvent): void {
    const now = this.#parts.clock.monotonic();
    const sameWait = this.#progress?.phase === event.phase && this.#progress.awaiting === event.awaiting;
    this.#progress = event;
    if (sameWait && event.bytes !== event.totalBytes && now - this.#progressShownAt < leastProgressMs) return;
    this.#progressShownAt = now;
    for (const listener of this.#progressListeners) listener(event);
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
    if (facts.kind === "restart") {
      return new TwinboardError("too-late-to-cancel", {
        detail: "the primary is coming back after a reboot of the host",
      });
    }
    return cancellable
      ? undefined
      : new TwinboardError("too-late-to-cancel", { detail: "it is committed, or being undone already" });
  }

  /** How a story ended; `undefined` while it runs, or if there is none of that id. */
  result(id: string): Promise<StoryResult | undefined> {
    if (this.#lastResult?.id === id) return Promise.resolve(this.#lastResult);
    return Promise.resolve(this.#results().find((result) => result.id === id));
  }

  #results(): StoryResult[] {
    return this.#parts.journal.records
      .filter((record) => record.event === "story-ended")
      .map((record) => record.data["result"] as StoryResult);
  }

  async status(): Promise<SystemStatus> {
    return await statusOfSystem(this.#parts, {
      story: this.#running?.scene.facts ?? null,
      progress: this.#progress,
      lastStory: this.#lastResult,
      stuck: this.#stuckResult,
      defect: this.#defect,
    });
  }

  /** Records after `afterSeq`, then everything that happens, until the signal aborts. */
  events(afterSeq: number, signal: AbortSignal): AsyncGenerator<StoryEvent> {
    return storyEvents(this.#parts.journal, this.#progressListeners, afterSeq, signal);
  }

  /** Resolves when no story is under way. */
  async idle(): Promise<void> {
    await this.#work;
  }

  /** Stops this daemon's work: boards and rules go on, and the next daemon takes up the story. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#running?.controller.abort(new DaemonStopping("the daemon is stopping"));
    await this.#work.catch(() => undefined);
    for (const name of boardNames) await this.#parts.boards[name].release();
    await this.#parts.journal.close();
  }

  /** Stops both boards and puts the host back as it was. What is installed stays. Errors: `busy`. */
  async down(signal: AbortSignal): Promise<void> {
    // A primary that is coming back may be stopped at once; any other story is to be cancelled first.
    if (this.#running?.scene.facts.kind === "restart") {
      this.#running.controller.abort(new DaemonStopping("the system is taken down"));
      await this.#work;
    }
    if (this.#busy) throw new TwinboardError("busy", { detail: this.#describeRunning() });
    this.#busy = true;
    try {
      for (const name of boardNames) await this.#parts.boards[name].tearDown(signal);
      await this.#parts.service.tearDown(signal);
    } finally {
      this.#busy = false;
    }
  }
}
