/**
 * The closing of flows between two requests, on both ends. The old board is asked about a flow; its answer becomes the client's reset
 * on the way there (which also passes a client's firewall), unless a request came first. A second question frees the board, no sooner
 * than it answers again. Where the board does not answer, the client is asked.
 */

import type { Question } from "./ask.ts";
import type { ServiceFlow } from "./flows.ts";
import type { PlannedService } from "./plan.ts";
import type { Stillness } from "./stillness.ts";

/** One connection answers a stray SYN every 500 ms (`tcp_invalid_ratelimit`, ip-sysctl.rst). */
const askAgainMs = 600;
/** Questions to the board, then to the client, that nobody answered; after as many a flow is left to its deadline. */
const boardTries = 2;
const clientTries = 2;
/** Questions that are to free the board. */
const freeTries = 3;
const mostLastCallMs = 3000;
const mostYoungCallMs = 1000;
/** What an answer that flows does not stand still for. */
const lastQuietMs = 100;
/** Kernels before 5.18 answer 1,000 stray SYNs a second in all, those before 4.9 only 100 (`tcp_challenge_ack_limit`). */
const limitWindowMs = 1000;
const leastWave = 64;
const mostWave = 16_384;

interface Asked {
  readonly atMs: number;
  readonly packets: number;
  readonly closed: boolean;
  readonly tries: number;
}

export class Closing {
  readonly #stillness: Stillness;
  readonly #asked = new Map<number, Asked>();
  #lastWave: readonly number[] = [];
  /** How many are asked in one go: what the board has shown to answer. */
  #wave = mostWave;
  #answeredMs = Number.NEGATIVE_INFINITY;
  /** After a limit has shown itself: when the next wave may begin. */
  #notBeforeMs = Number.NEGATIVE_INFINITY;

  constructor(stillness: Stillness) {
    this.#stillness = stillness;
  }

  /** Learns from a look at all flows who answered the last wave. */
  learn(flows: readonly ServiceFlow[], nowMs: number): void {
    if (this.#lastWave.length === 0) return;
    const byId = new Map(flows.map((flow) => [flow.id, flow]));
    const mute: ServiceFlow[] = [];
    for (const id of this.#lastWave) {
      const asked = this.#asked.get(id);
      const flow = byId.get(id);
      if (flow === undefined || flow.over) this.#asked.delete(id);
      else if (asked === undefined || flow.packets !== asked.packets || flow.closed !== asked.closed) {
        this.#asked.set(id, { atMs: asked?.atMs ?? 0, packets: flow.packets, closed: flow.closed, tries: 0 });
      } else mute.push(flow);
    }
    this.#judge(this.#lastWave.length - mute.length, mute, nowMs);
    this.#lastWave = [];
  }

  /** Many who do not answer among some that do: there is a limit, and those whom it kept from answering are not mute. */
  #judge(answered: number, mute: readonly ServiceFlow[], nowMs: number): void {
    const lately = nowMs - this.#answeredMs < 2 * limitWindowMs;
    if (answered > 0) this.#answeredMs = nowMs;
    if (mute.length > answered && (answered > 0 || lately)) {
      this.#wave = Math.max(leastWave, answered);
      this.#notBeforeMs = nowMs + limitWindowMs;
      for (const { id } of mute) this.#forgive(id);
    } else if (mute.length === 0) this.#wave = Math.min(mostWave, this.#wave * 2);
  }

  /**
   * What is to be asked now, at most one wave.
   * @param restMs until a flow's deadline
   */
  questions(flows: readonly ServiceFlow[], nowMs: number, restMs: (flow: ServiceFlow) => number): Question[] {
    if (nowMs < this.#notBeforeMs) return [];
    const due = flows.flatMap((flow) => this.#question(flow, nowMs, restMs(flow)));
    // What is half closed first: a client that begins anew from the same port waits for it.
    const ordered = [...due.filter(({ flow }) => flow.closed), ...due.filter(({ flow }) => !flow.closed)];
    return ordered.slice(0, this.#wave);
  }

  /** These were asked, at `nowMs`. */
  noteAsked(questions: readonly Question[], nowMs: number): void {
    for (const { flow } of questions) {
      const { id, packets, closed } = flow;
      this.#asked.set(id, { atMs: nowMs, packets, closed, tries: (this.#asked.get(id)?.tries ?? 0) + 1 });
    }
    this.#lastWave = questions.map(({ flow }) => flow.id);
  }

  /** Until the first of those that were asked may be asked again; infinity if nobody waits for that. */
  untilNextMs(flows: readonly ServiceFlow[], nowMs: number): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { id, closed } of flows) {
      const asked = this.#asked.get(id);
      if (asked === undefined || asked.tries >= mostTries(closed)) continue;
      const atMs = Math.max(asked.atMs + askAgainMs, this.#notBeforeMs);
      // One that could be asked already is not still: no time is known for it.
      if (atMs > nowMs) next = Math.min(next, atMs - nowMs);
    }
    return next;
  }

  /** Closed, its client told, and the board says nothing however often it is asked. */
  isAbandoned({ id, closed, early, clientTold }: ServiceFlow): boolean {
    return closed && early && clientTold && (this.#asked.get(id)?.tries ?? 0) >= freeTries;
  }

  #question(flow: ServiceFlow, nowMs: number, restMs: number): Question[] {
    if (flow.over || (flow.closed && !flow.early)) return [];
    const asked = this.#asked.get(flow.id);
    const tries = asked?.tries ?? 0;
    if (tries >= mostTries(flow.closed)) return [];
    if (asked !== undefined && nowMs - asked.atMs < askAgainMs) return [];
    if (flow.closed) return [{ flow, of: "board", mayClose: false }];
    if (!this.#isBetweenRequests(flow, nowMs, restMs)) return [];
    return [{ flow, of: tries < boardTries ? "board" : "client", mayClose: true }];
  }

  #isBetweenRequests(flow: ServiceFlow, nowMs: number, restMs: number): boolean {
    if (flow.state !== "ESTABLISHED" || flow.inRequest || flow.unheard) return false;
    const stillMs = this.#stillness.stillMs(flow, nowMs);
    const { service } = flow;
    if (flow.young && restMs > youngCallMs(service)) return false;
    const isLastCall = !flow.young && restMs <= lastCallMs(service);
    return stillMs >= (isLastCall ? Math.min(service.quietMs, lastQuietMs) : service.quietMs);
  }

  #forgive(id: number): void {
    const asked = this.#asked.get(id);
    if (asked !== undefined) this.#asked.set(id, { ...asked, tries: asked.tries - 1 });
  }
}

/**
 * How long before its deadline a flow need be still for no longer than `lastQuietMs`: between two requests is better than wherever it
 * is then.
 * Not at all where flows shall never be closed before their deadline.
 */
export function lastCallMs({ quietMs, drainMs }: PlannedService): number {
  return quietMs < drainMs ? Math.min(mostLastCallMs, drainMs / 4) : 0;
}

/**
 * How long before its deadline a young flow is closed. Only its stillness tells it from one in a request: it is closed so
 * late that its deadline is about to cut it anyway.
 */
export function youngCallMs(service: PlannedService): number {
  return Math.min(mostYoungCallMs, lastCallMs(service));
}

function mostTries(closed: boolean): number {
  return closed ? freeTries : boardTries + clientTries;
}
