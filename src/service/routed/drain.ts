/**
 * The drain: the old board's flows are watched until none is left. Of connections, those between two requests are closed (`closing.ts`), the others
 * finish what they began, and what is left at its service's deadline is cut (`cut.ts`). What it knows it reads from the kernel.
 */
import { systemClock } from "../../system/clock.ts";
import type { NftSession } from "../../system/nft.ts";
import { readSetting } from "../../system/sysctl.ts";
import type { DrainOrder } from "../network/wiring.ts";
import type { DrainProgress, DrainResult } from "../service.ts";
import { ask } from "./ask.ts";
import { Closing, lastCallMs, youngCallMs } from "./closing.ts";
import { type CutOutcome, cutFlows } from "./cut.ts";
import { flowsOf, forgetFlows, type ServiceFlow } from "./flows.ts";
import { marksIn } from "./marks.ts";
import type { PlannedService, RoutedPlan } from "./plan.ts";
import { Remarks } from "./remarks.ts";
import { drainSessions } from "./sessions.ts";
import { Stillness } from "./stillness.ts";
import { sumOf, Tally } from "./tally.ts";

const leastPauseMs = 100;
/** A look at 100,000 flows takes half a second of a core: nine tenths of the time are for others. */
const pausePerLook = 10;
/** In the last call, where clients that ask often are caught in one of their short pauses only if one is seen. */
const lastCallPauses = { leastMs: 50, perLook: 2 } as const;
/** The last look before a deadline, so that at the deadline nothing is left to be found out. */
const lookAheadMs = 60;
/** What is asked answers in less, on the host's own links. */
const answerMs = 30;
/** A wave of 16,000 questions takes about a second: none is begun that would reach into a deadline. */
const questionMs = 0.1;
/** The board has not answered a handshake for so long: the client's next SYN is better sent to the holder. */
const handshakeMs = 1000;

/**
 * Drains connections, sessions and what is in flight, each kind in its own way and all at once.
 * Errors: `command-failed`, `deadline-passed`; the signal's reason. Repeatable: the kernel knows what is left.
 */
export async function drainFlows(
  plan: RoutedPlan,
  nft: NftSession,
  order: DrainOrder,
  signal: AbortSignal,
): Promise<DrainResult> {
  const started = systemClock.monotonic();
  const ending = new AbortController();
  const within = AbortSignal.any([signal, ending.signal]);
  const parts: Record<"connections" | "sessions", DrainProgress | undefined> = {
    connections: undefined,
    sessions: undefined,
  };
  const tell = (part: keyof typeof parts) => (progress: DrainProgress) => {
    parts[part] = progress;
    // A sum of less would tell that nothing is left.
    if (Object.values(parts).every((one) => one !== undefined)) order.onProgress?.(sum());
  };
  const sum = (): DrainProgress =>
    sumOf([parts.connections, parts.sessions].filter((part) => part !== undefined));
  const connections = new ConnectionDrain(plan, nft, { ...order, onProgress: tell("connections") }, within);
  // One that fails ends the others: they are asked for again as a whole.
  const works = [
    connections.run(),
    drainSessions(plan, { ...order, onProgress: tell("sessions") }, within),
    answerWhatWasAsked(plan, order, within),
  ].map(async (work) => await work.catch((error: unknown) => ending.abort(error)));
  await Promise.all(works);
  within.throwIfAborted();
  return { ...sum(), ms: systemClock.monotonic() - started, remarks: connections.remarks() };
}

/** Datagrams that are each on their own leave nothing to count: the old board has its time to answer those that it heard. */
async function answerWhatWasAsked(plan: RoutedPlan, order: DrainOrder, signal: AbortSignal): Promise<void> {
  const drainMs = Math.max(0, ...plan.stateless.map((service) => service.drainMs));
  const restMs = order.atOnce === true ? 0 : order.sinceMs + drainMs - systemClock.now();
  if (restMs > 0) await systemClock.sleep(restMs, signal);
}

interface Look {
  readonly flows: readonly ServiceFlow[];
  readonly left: readonly ServiceFlow[];
  readonly atMs: number;
  readonly tookMs: number;
}

/** The drain of TCP. */
class ConnectionDrain {
  readonly #plan: RoutedPlan;
  readonly #nft: NftSession;
  readonly #order: DrainOrder;
  readonly #signal: AbortSignal;
  readonly #services: readonly PlannedService[];
  readonly #tally: Tally;
  readonly #stillness = new Stillness();
  readonly #closing = new Closing(this.#stillness);
  readonly #remarks: Remarks;
  #looks = 0;

  constructor(plan: RoutedPlan, nft: NftSession, order: DrainOrder, signal: AbortSignal) {
    this.#plan = plan;
    this.#nft = nft;
    this.#order = order;
    this.#signal = signal;
    this.#services = plan.services.filter(({ protocol }) => protocol === "tcp");
    this.#tally = new Tally(this.#services);
    this.#remarks = new Remarks(order.board);
  }

  remarks(): string[] {
    return this.#remarks.sentences();
  }

  async run(): Promise<void> {
    for (;;) {
      const look = await this.#look();
      await this.#forget(look);
      this.#order.onProgress?.(this.#tally.progress());
      if (look.left.length === 0) return;
      const due = look.left.map(({ service }) => this.#restMs(service)).reduce((a, b) => Math.min(a, b));
      if (due <= Math.max(lookAheadMs, 2 * look.tookMs)) await this.#cut(look, due);
      else await this.#step(look, due);
    }
  }

  async #look(): Promise<Look> {
    const atMs = systemClock.monotonic();
    const flows = await flowsOf(this.#plan, this.#order.board, this.#signal);
    this.#tally.note(flows);
    this.#stillness.note(flows, atMs);
    this.#closing.learn(flows, systemClock.monotonic());
    this.#looks += 1;
    await this.#remarks.noteTable(readSetting);
    return { flows, left: flows.filter(({ over }) => !over), atMs, tookMs: systemClock.monotonic() - atMs };
  }

  /** Closes what can be closed now, and waits until there may be more. */
  async #step(look: Look, dueMs: number): Promise<void> {
    const { left } = look;
    const nowMs = systemClock.monotonic();
    const fits = Math.floor((dueMs - lookAheadMs) / 2 / questionMs);
    const questions = this.#closing
      .questions(left, nowMs, ({ service }) => this.#restMs(service))
      .slice(0, fits);
    if (questions.length > 0) {
      this.#closing.noteAsked(questions, nowMs);
      await ask(this.#plan, this.#order, questions, this.#signal);
      await systemClock.sleep(answerMs, this.#signal);
    } else await systemClock.sleep(this.#pauseMs(look, dueMs), this.#signal);
  }

  #pauseMs({ left, tookMs }: Look, dueMs: number): number {
    // The second look is the first that can find a flow still.
    const quietMs = Math.min(...this.#services.map((service) => service.quietMs));
    const isLastCall = left.some(({ service }) => this.#restMs(service) <= lastCallMs(service));
    const pauseMs = isLastCall
      ? Math.max(lastCallPauses.leastMs, tookMs * lastCallPauses.perLook)
      : Math.max(leastPauseMs, this.#looks === 1 ? quietMs : tookMs * pausePerLook);
    const lastCalls = this.#services.flatMap((service) =>
      [lastCallMs(service), youngCallMs(service)].map((callMs) => this.#restMs(service) - callMs),
    );
    const events = [this.#closing.untilNextMs(left, systemClock.monotonic()), ...lastCalls]
      .filter((untilMs) => untilMs > 0)
      .map((untilMs) => Math.max(untilMs, tookMs));
    return Math.min(pauseMs, ...events, dueMs - lookAheadMs);
  }

  /** Flows that are closed on both ends: a client that begins anew from the same port waits for it. */
  async #forget({ flows, left }: Look): Promise<void> {
    const { board } = this.#order;
    const { closedBit, earlyBit, clientToldBit, boardToldBit } = marksIn(this.#plan.markMask);
    const told = closedBit | earlyBit | clientToldBit;
    if (flows.some(({ over, closed }) => over && closed)) {
      const bits = told | boardToldBit;
      this.#tally.noteClosed(await forgetFlows(this.#plan, board, { bits, mask: bits }));
    }
    if (left.length > 0 && left.every((flow) => this.#closing.isAbandoned(flow))) {
      const forgotten = await forgetFlows(this.#plan, board, { bits: told, mask: told });
      this.#tally.noteClosed(forgotten);
      this.#remarks.noteBoardSilent(left.length);
    }
    const nowMs = systemClock.monotonic();
    const unanswered = left.filter(({ state }) => state === "SYN_SENT");
    if (unanswered.some((flow) => this.#stillness.stillMs(flow, nowMs) >= handshakeMs))
      await forgetFlows(this.#plan, board, { bits: 0, mask: 0, state: "SYN_SENT" });
  }

  async #cut({ left }: Look, dueMs: number): Promise<void> {
    const late = left.filter(({ service }) => this.#restMs(service) <= dueMs);
    const services = [...new Set(late.map(({ service }) => service))];
    for (let restMs = dueMs; restMs > 0; restMs = Math.max(...services.map((one) => this.#restMs(one))))
      await systemClock.sleep(restMs, this.#signal);
    const outcome: CutOutcome = await cutFlows(this.#plan, this.#nft, this.#order, late, this.#signal);
    this.#tally.noteClosed(outcome.seen);
    this.#tally.noteCut(outcome.seen);
    this.#remarks.noteCut(outcome);
  }

  /** Until the deadline of this service's flows. */
  #restMs(service: PlannedService): number {
    if (this.#order.atOnce === true) return 0;
    return this.#order.sinceMs + service.drainMs - systemClock.now();
  }
}
