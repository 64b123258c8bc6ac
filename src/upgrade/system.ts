/** One pair of boards and the service they provide: what can be asked of them. */
import {
  type BoardConsole,
  type BoardName,
  type BoardPlacement,
  boardNames,
  otherBoard,
} from "../board/board.ts";
import type { BundleSource } from "../delivery/delivery.ts";
import { TwinboardError } from "../errors.ts";
import type { NotedFacts } from "./facts.ts";
import { Failover } from "./failover.ts";
import { Mending } from "./mending.ts";
import type { StoryKind } from "./record.ts";
import { type Report, reportOf, reportsOf, type StorySummary, summaryOf } from "./report.ts";
import { runStory } from "./runner.ts";
import type { Parts } from "./scene.ts";
import type { StoryResult, SystemStatus } from "./status.ts";
import { statusOfSystem } from "./status-of-system.ts";
import { Stories } from "./stories.ts";
import { type StoryEvent, storyEvents } from "./story-events.ts";
import { TakeUp } from "./take-up.ts";

const nothing = (): Promise<void> => Promise.resolve();

export class System {
  readonly #parts: Parts;
  readonly #stories: Stories;
  readonly #takeUp: TakeUp;
  readonly #failover: Failover;
  readonly #mending: Mending;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#stories = new Stories(parts);
    this.#takeUp = new TakeUp(parts, this.#stories);
    this.#failover = new Failover(parts, this.#stories, this.#takeUp);
    this.#mending = new Mending(parts, this.#stories, this.#takeUp);
  }

  /**
   * Makes the host ready, adopts what runs, and takes up what an earlier daemon left: resolves when that is under way.
   * Errors: those of `Service.setUp` and `Board.setUp`.
   */
  async start(signal: AbortSignal): Promise<void> {
    const { boards, service } = this.#parts;
    await service.setUp(signal);
    // From here on a transaction of the daemon before us, still on its way, fails.
    await service.raiseEpoch();
    for (const name of boardNames) {
      await boards[name].setUp(signal, this.#parts.systemFile.state.slots[name]?.content?.kind);
      await service.attach(name, signal);
      await this.#adopt(name, signal);
    }
    await this.#stories.reserve(nothing, () => this.#takeUp.run(), "the system is starting");
    this.#failover.start();
    this.#mending.start();
  }

  /** Lets the driver know a board again that runs since before this daemon; a dormant one is left alone. */
  async #adopt(name: BoardName, signal: AbortSignal): Promise<void> {
    const board = this.#parts.boards[name];
    const condition = await board.inspect();
    const content = this.#parts.systemFile.state.slots[name]?.content;
    if (condition.state !== "running" || !content) return;
    await board.start({ ...content, instance: condition.instance }, signal);
  }

  /**
   * Starts an upgrade; resolves once it has begun. Errors: `busy`, `only-good-slot`. What becomes of it is told by `result` and `events`.
   */
  async upgrade(
    source: BundleSource,
    options: { readonly force: boolean },
  ): Promise<{ readonly id: string }> {
    return await this.#startStory("upgrade", source, async () => {
      const { holder } = await this.#parts.service.inspect();
      const { primary, slots } = this.#parts.systemFile.state;
      const from = holder ?? primary;
      const to = from === null ? "a" : otherBoard(from);
      // While nobody serves there is nothing to go back from, and an upgrade is what may bring the service back.
      if (holder !== null && slots[holder]?.mark !== "good" && slots[to]?.mark === "good" && !options.force)
        throw new TwinboardError("only-good-slot", {
          detail: `slot ${to} is good, slot ${holder} is ${slots[holder]?.mark ?? "empty"}`,
        });
      return {
        from: holder,
        to,
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
    const stories = this.#stories;
    // What is asked for comes before what began by itself and moves nothing, unless it is refused.
    if (stories.facts?.kind === "standby") {
      await begin();
      stories.interrupt(new TwinboardError("cancelled", { detail: `for the ${kind} that was asked for` }));
      await stories.idle();
    }
    const first = await stories.reserve(
      async () => {
        if (!(await this.#parts.service.inspect()).present) throw new TwinboardError("service-not-set-up");
        return await stories.begin(kind, await begin());
      },
      (record) => stories.perform([record], source, (scene) => runStory(scene, null)),
      `the beginning of the ${kind} that was asked for`,
    );
    return { id: first.story };
  }

  /** Moves the boards to other cores of the host; no story moves meanwhile. Errors: `busy`; those of `Board.place`. */
  async place(placements: Readonly<Record<BoardName, BoardPlacement>>, signal: AbortSignal): Promise<void> {
    await this.#stories.reserve(
      async () => {
        for (const name of boardNames) await this.#parts.boards[name].place(placements[name], signal);
      },
      nothing,
      "the boards are being moved to other cores",
    );
  }

  /** Ends the story that is under way, cleanly. Errors: `nothing-to-cancel`, `too-late-to-cancel`. */
  async cancel(): Promise<void> {
    await this.#stories.cancel();
  }

  /** How a story ended; `undefined` while it runs, or if there is none of that id. */
  async result(id: string): Promise<StoryResult | undefined> {
    return await this.#stories.result(id);
  }

  /** Every story that is kept, newest first. */
  stories(): StorySummary[] {
    const { journal, settings } = this.#parts;
    return reportsOf(settings.system, journal.records).map(summaryOf);
  }

  /** What there is to know of a story, also while it runs; `undefined` if there is none of that id. */
  report(id: string): Report | undefined {
    const { journal, settings } = this.#parts;
    const records = journal.records.filter(({ story }) => story === id);
    return records.length === 0 ? undefined : reportOf(settings.system, records);
  }

  async status(): Promise<SystemStatus> {
    return await statusOfSystem(this.#parts, this.#stories, this.#failover);
  }

  /** Records after `afterSeq`, then everything that happens, until the signal aborts. */
  events(afterSeq: number, signal: AbortSignal): AsyncGenerator<StoryEvent> {
    return storyEvents(this.#parts.journal, this.#stories.progressListeners, afterSeq, signal);
  }

  /** The last lines of a board's console, at most `lines` of them. */
  async consoleTail(board: BoardName, lines: number): Promise<string[]> {
    return await this.#parts.boards[board].consoleTail(lines);
  }

  /** The same, then each line as it is complete, until the signal aborts. */
  followConsole(board: BoardName, lines: number, signal: AbortSignal): AsyncIterable<string> {
    return this.#parts.boards[board].followConsole(lines, signal);
  }

  /** Errors: `board-not-running`, `console-in-use`. */
  async attachConsole(board: BoardName, signal: AbortSignal): Promise<BoardConsole> {
    return await this.#parts.boards[board].attachConsole(signal);
  }

  /** Resolves when no story is under way, and none is about to begin by itself. */
  async idle(): Promise<void> {
    do {
      await this.#stories.idle();
      await this.#failover.settled();
      await this.#mending.settled();
    } while (this.#stories.busy);
  }

  /** Stops this daemon's work: boards and rules go on, and the next daemon takes up the story. */
  async close(): Promise<void> {
    const mended = this.#mending.close();
    await this.#failover.close();
    await this.#stories.close();
    await mended;
    for (const name of boardNames) await this.#parts.boards[name].release();
    await this.#parts.journal.close();
  }

  /** Stops both boards and puts the host back as it was. What is installed stays. Errors: `busy`. */
  async down(signal: AbortSignal): Promise<void> {
    const watching = await this.#failover.pause();
    const mending = await this.#mending.pause();
    let begun = false;
    try {
      await this.#stories.abandonAutomatic();
      await this.#stories.reserve(
        async () => {
          begun = true;
          for (const name of boardNames) await this.#parts.boards[name].tearDown(signal);
          await this.#parts.service.tearDown(signal);
        },
        nothing,
        "the system is being taken down",
      );
    } catch (error) {
      this.#stories.endAbandoning();
      // What is half taken down stays so until somebody asks again; nobody is to bring it up behind their back.
      if (watching && !begun) this.#failover.start();
      if (mending && !begun) this.#mending.start();
      throw error;
    }
  }
}
