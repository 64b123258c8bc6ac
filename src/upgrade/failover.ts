/**
 * Failover: outside an upgrade the board in service is watched. If it dies, hangs or stays unhealthy the dormant board takes over; if no
 * board is warm, one boots. Where the other board is down it is booted, verified and laid to sleep, so that there is a warm way back.
 * What is to be done is decided by `planFailover`; here it is seen, begun, and bounded.
 */
import {
  type BoardCondition,
  type BoardEvent,
  type BoardName,
  boardNames,
  otherBoard,
} from "../board/board.ts";
import { type ErrorCode, TwinboardError } from "../errors.ts";
import { type Attempt, attemptsIn, gaveWay, inVainOf, movesSince, standbysSince } from "./attempts.ts";
import type { NotedFacts } from "./facts.ts";
import {
  type FailoverPlan,
  type Failure,
  failoverWindowMs,
  gravest,
  planFailover,
  type Situation,
  standbyGivenUp,
} from "./failover-plan.ts";
import { HolderWatch } from "./holder-watch.ts";
import type { PhaseName } from "./record.ts";
import { runStory } from "./runner.ts";
import type { Parts } from "./scene.ts";
import type { Stories } from "./stories.ts";
import type { TakeUp } from "./take-up.ts";

/** How often it is looked whether the host's rules are still there; asking costs a millisecond. */
const lookMs = 2000;
/** After so many the whole is looked at, whatever happened: after a look that failed (a full disk), or when a bound is over. */
const lookEveryTicks = 15;
/** Until these are over the story is given up when the board in service fails: nothing of it serves yet. */
const interruptible: ReadonlySet<PhaseName | null> = new Set([
  null,
  "deliver",
  "vacate",
  "install",
  "boot",
  "verify",
]);

export class Failover {
  readonly #parts: Parts;
  readonly #stories: Stories;
  readonly #takeUp: TakeUp;
  readonly #closed = new AbortController();
  readonly #watch: HolderWatch;
  #givenUp: { readonly code: ErrorCode; readonly reason: string } | null = null;
  #standbyGivenUp: string | null = null;
  #looking: Promise<void> = Promise.resolve();
  /** Something happened that has not been looked at. */
  #due = false;
  #paused = true;
  /** What this daemon began. The journal tells the same and more, unless the disk is full. */
  #begun: Attempt[] = [];
  #ticking = false;
  /** Boards that hang, told once only, and perhaps before they were watched; until a story boots or wakes them. */
  readonly #hung = new Map<BoardName, Failure>();
  readonly #unsubscribe: (() => void)[] = [];

  constructor(parts: Parts, stories: Stories, takeUp: TakeUp) {
    this.#parts = parts;
    this.#stories = stories;
    this.#takeUp = takeUp;
    this.#watch = new HolderWatch(parts, () => this.#look());
  }

  /** Why it does nothing more by itself. */
  get givenUp(): { readonly code: ErrorCode; readonly reason: string } | null {
    return this.#givenUp;
  }

  /** Why the other board is no longer made ready to take over. */
  get standbyGivenUp(): string | null {
    return this.#standbyGivenUp;
  }

  /** Watches from now on. */
  start(): void {
    if (!this.#parts.settings.failover) return;
    this.#paused = false;
    this.#stories.idleListeners.add(this.#look);
    this.#stories.beganListeners.add(this.#onStory);
    // A dormant board that dies is missed as well: nobody would take over.
    for (const name of boardNames) {
      const heard = (event: BoardEvent): void => {
        if (event.type === "hung")
          this.#hung.set(name, {
            board: name,
            cause: "hung",
            detail: event.detail,
            at: this.#parts.clock.now(),
          });
        if (event.type === "died") this.#look();
      };
      const unlinked = this.#parts.service.watchWire(name, this.#look);
      this.#unsubscribe.push(this.#parts.boards[name].subscribe(heard), unlinked);
    }
    if (!this.#ticking) void this.#tick().catch(this.#endOfTicks);
    this.#ticking = true;
    this.#look();
  }

  /** Leaves boards and rules alone until `start`: they are being taken down. Returns whether it watched. */
  async pause(): Promise<boolean> {
    const watching = !this.#paused;
    this.#paused = true;
    this.#stories.idleListeners.delete(this.#look);
    this.#stories.beganListeners.delete(this.#onStory);
    for (const unsubscribe of this.#unsubscribe.splice(0)) unsubscribe();
    await this.#looking;
    this.#watch.end();
    return watching;
  }

  /** Ends; what it began is the stories' affair. */
  async close(): Promise<void> {
    this.#closed.abort();
    await this.pause();
  }

  /** Resolves when nothing that has happened is still to be looked at. */
  async settled(): Promise<void> {
    await this.#looking;
  }

  /** The ticks end with the daemon; with anything else somebody is told. */
  readonly #endOfTicks = (error: unknown): void => {
    if (!this.#closed.signal.aborted) this.#parts.onTrouble(error);
  };

  /** Rules that somebody took away are missed only if somebody looks; and what was given up is looked at again. */
  async #tick(): Promise<void> {
    const { signal } = this.#closed;
    const { clock } = this.#parts;
    for (let ticks = 1; ; ticks += 1) {
      await clock.sleep(lookMs, signal);
      if (this.#paused || this.#stories.busy) continue;
      if (ticks % lookEveryTicks === 0 || (await this.#gone())) this.#look();
    }
  }

  /** Whether the host's rules are gone. One that cannot be asked is asked again. */
  async #gone(): Promise<boolean> {
    try {
      return !(await this.#parts.service.inspect()).present;
    } catch {
      return false;
    }
  }

  /** Looks at what is, once for all that has happened since the last look. */
  readonly #look = (): void => {
    if (this.#due || this.#paused) return;
    this.#due = true;
    this.#looking = this.#looking.then(() => {
      this.#due = false;
      return this.#act().catch(this.#parts.onTrouble);
    });
  };

  readonly #onStory = (): void => {
    const { facts } = this.#stories;
    if (facts !== null) this.#hung.delete(facts.to);
    // What was found while the story was being asked for could not end it then.
    if (facts?.kind === "upgrade") this.#look();
  };

  async #act(): Promise<void> {
    if (this.#paused) return;
    const stories = this.#stories;
    const situation = await this.#situation();
    // It was asked while the look was under way.
    if (this.#paused) return;
    if (situation === undefined) return stories.busy ? undefined : await this.#setUpAgain();
    const plan = planFailover(situation);
    if (stories.busy) {
      if (situation.failure !== null) this.#interrupt(situation.failure, plan);
      return;
    }
    this.#givenUp = givenUpBy(plan);
    this.#standbyGivenUp = standbyGivenUp(situation);
    await this.#begin(plan, situation);
  }

  /** `undefined`: the host's rules are gone. */
  async #situation(): Promise<Situation | undefined> {
    const { service, boards, systemFile, clock, boot, settings } = this.#parts;
    const { present, holder } = await service.inspect();
    if (!present) return undefined;
    const conditions = { a: await boards.a.inspect(), b: await boards.b.inspect() };
    const wires = { a: await service.wireObstacle("a"), b: await service.wireObstacle("b") };
    let failure: Failure | null = null;
    if (holder === null) {
      this.#watch.end();
    } else {
      const condition = conditions[holder];
      if (condition.state === "running")
        failure = this.#watch.of(holder, condition.instance) ?? this.#hung.get(holder) ?? null;
      else failure = this.#watch.deathOf(holder) ?? foundDead(holder, condition, clock.now());
      const unlinked = foundUnlinked(holder, wires[holder], clock.now());
      failure = gravest(failure, unlinked, wires[otherBoard(holder)] === null);
    }
    const attempts = this.#attempts();
    const sinceMs = clock.now() - failoverWindowMs;
    return {
      holder,
      conditions,
      state: systemFile.state,
      keepsWarm: settings.dormancy !== "off",
      failure,
      wires,
      inVain: inVainOf(attempts),
      sinceMs,
      recentMoves: movesSince(attempts, sinceMs),
      recentStandbys: standbysSince(attempts, sinceMs, boot),
    };
  }

  #attempts(): readonly Attempt[] {
    const { last } = this.#stories;
    const asked = (last?.kind === "upgrade" || last?.kind === "rollback") && last.outcome === "committed";
    const inVain = last !== null && last.outcome !== "committed";
    this.#begun = asked
      ? []
      : this.#begun
          .filter(({ story }) => last === null || story !== last.id || !gaveWay(last))
          .map((attempt) => (attempt.story === last?.id ? { ...attempt, inVain } : attempt));
    const journalled = attemptsIn(this.#parts.journal.records);
    return journalled.length >= this.#begun.length ? journalled : this.#begun;
  }

  /**
   * A story of which nothing serves yet is given up when nobody serves. A board that is merely unhealthy may be why there is an upgrade;
   * and from one without a link the service comes away soonest by the story, unless another is warm.
   */
  #interrupt(failure: Failure, { action }: FailoverPlan): void {
    const { facts } = this.#stories;
    const stoppable = facts?.kind === "upgrade" || facts?.kind === "standby";
    if (failure.cause === "unhealthy" || !stoppable || !interruptible.has(facts.phase)) return;
    if (failure.cause === "unlinked" && action !== "failover") return;
    // Where nothing more is done by itself, the story may be what a person does about it.
    if (action === "give-up") return;
    const detail = `board ${failure.board} ${failure.cause}: ${failure.detail}`;
    this.#stories.interrupt(new TwinboardError("holder-failed", { detail }));
  }

  async #begin(plan: FailoverPlan, { holder }: Situation): Promise<void> {
    if (plan.action === "nothing" || plan.action === "give-up") return;
    const { slots } = this.#parts.systemFile.state;
    const content = slots[plan.to]?.content;
    if (!content) return;
    const facts: Partial<NotedFacts> = {
      to: plan.to,
      content,
      toVersion: content.version,
      // A restart relieves nobody.
      from: plan.action === "restart" ? null : holder,
      fromVersion: holder === null ? null : (slots[holder]?.content?.version ?? null),
      ...("failure" in plan ? { failure: plan.failure } : {}),
    };
    await this.#start(plan.action, facts);
  }

  async #start(kind: "failover" | "restart" | "standby", facts: Partial<NotedFacts>): Promise<void> {
    const stories = this.#stories;
    try {
      await stories.reserve(
        async () => {
          const first = await stories.begin(kind, facts);
          const { story, at, boot } = first;
          this.#begun.push({ story, action: kind, to: facts.to ?? "a", at, boot, inVain: undefined });
          return first;
        },
        (first) => stories.perform([first], undefined, (scene) => runStory(scene, null)),
        `the beginning of a ${kind}`,
      );
    } catch (error) {
      // Somebody asked for a story in the same moment: its end is looked at.
      if (!(error instanceof TwinboardError && error.code === "busy")) throw error;
    }
  }

  /** Somebody took the host's rules away. They are made again, and the primary, which may still run, gets the service back. */
  async #setUpAgain(): Promise<void> {
    const { service, boards } = this.#parts;
    const { signal } = this.#closed;
    this.#watch.end();
    await this.#stories.reserve(
      async () => {
        await service.setUp(signal);
        for (const name of boardNames) {
          if ((await boards[name].inspect()).state !== "off") await service.attach(name, signal);
        }
      },
      () => this.#takeUp.serveAgain(),
      "the host's rules are being made again",
    );
  }
}

function givenUpBy(plan: FailoverPlan): { readonly code: ErrorCode; readonly reason: string } | null {
  if (plan.action !== "give-up") return null;
  const { failure, code, reason } = plan;
  return { code, reason: `board ${failure.board} ${failure.cause} (${failure.detail}); ${reason}` };
}

function foundUnlinked(board: BoardName, obstacle: string | null, at: number): Failure | null {
  return obstacle === null ? null : { board, cause: "unlinked", detail: obstacle, at };
}

function foundDead(board: BoardName, condition: BoardCondition, at: number): Failure {
  const why = condition.state === "off" ? "" : `: ${condition.reason ?? "it does no more work"}`;
  return { board, cause: "died", detail: `it is ${condition.state}${why}`, at };
}
