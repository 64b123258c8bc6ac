/** Announces from a card that the boards' MAC address is behind it, again and again for some seconds: switches lose frames as well. */
import type { Clock } from "../../system/clock.ts";
import { FrameSender } from "../../system/frame-sender.ts";

/** Until it is clear that the old card says nothing more: what it says makes a switch believe in it again. */
const denseMs = 2;
const sparseMs = 20;
/** So long before and after the end of the linger, and from its beginning on, announcements are dense. */
const nearMs = 10;
const lateMs = [100, 500, 2000];
/** A card that cannot be opened by then is announced from as soon as it can be. */
const openTimeoutMs = 500;

/** When frames are sent, in milliseconds from a takeover on. */
export function announcementTimesMs(lingerMs: number): number[] {
  const times: number[] = [];
  const endMs = lingerMs + nearMs;
  for (let at = 0; at <= endMs; ) {
    times.push(at);
    const near = at < 2 * nearMs || at >= lingerMs - nearMs;
    at += near ? denseMs : Math.min(sparseMs, lingerMs - nearMs - at);
  }
  return [...times, ...lateMs.map((ms) => ms + lingerMs)];
}

export class Announcer {
  readonly #frames: readonly Buffer[];
  readonly #timesMs: readonly number[];
  readonly #clock: Clock;
  #senders: readonly FrameSender[] = [];
  #announcing: ReadonlySet<FrameSender> = new Set();
  #failures: readonly string[] = [];
  #ending = new AbortController();

  /** @param frames of one length. */
  constructor(frames: readonly Buffer[], lingerMs: number, clock: Clock) {
    this.#frames = frames;
    this.#timesMs = announcementTimesMs(lingerMs);
    this.#clock = clock;
  }

  /** Opens the cards, so that nothing has to be waited for when it counts. Other announcements go on until the next. */
  async open(cards: readonly string[]): Promise<void> {
    const kept = this.#senders.filter(({ card, failure }) => cards.includes(card) && failure === undefined);
    const missing = cards.filter((card) => !kept.some((sender) => sender.card === card));
    const sizeBytes = this.#frames[0]?.length ?? 0;
    const made = missing.map((card) => new FrameSender(card, sizeBytes));
    const others = this.#senders.filter((sender) => !kept.includes(sender));
    // Those of another board announce until they are ended.
    this.#senders = [...kept, ...made, ...others];
    const opened = Promise.all(made.map(async ({ ready }) => await ready));
    await Promise.race([opened, this.#clock.sleep(openTimeoutMs)]);
  }

  /** What was opened, and is not announced from. */
  release(): void {
    this.#letGo(this.#senders.filter((sender) => !this.#announcing.has(sender)));
  }

  /** From these cards from now on, and from no other. Does not wait. */
  announce(cards: readonly string[]): void {
    this.#ending.abort();
    this.#ending = new AbortController();
    void this.open(cards);
    const senders = this.#senders.filter(({ card }) => cards.includes(card));
    this.#failures = [];
    this.#letGo(this.#senders.filter((sender) => !senders.includes(sender)));
    this.#announcing = new Set(senders);
    void this.#repeat(senders, this.#ending.signal);
  }

  /** Why nothing could be announced from a card, each as a sentence. */
  get failures(): readonly string[] {
    return this.#failures;
  }

  /** Announces nothing more, and lets go of the cards. */
  end(): void {
    this.#ending.abort();
    this.#letGo(this.#senders);
  }

  #letGo(senders: readonly FrameSender[]): void {
    this.#senders = this.#senders.filter((sender) => !senders.includes(sender));
    for (const sender of senders) sender.close();
  }

  async #repeat(senders: readonly FrameSender[], signal: AbortSignal): Promise<void> {
    const beganMs = this.#clock.monotonic();
    for (const at of this.#timesMs) {
      const waitMs = beganMs + at - this.#clock.monotonic();
      if (waitMs > 0) await this.#clock.sleep(waitMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      for (const sender of senders) for (const frame of this.#frames) sender.send(frame);
    }
    this.#failures = senders.flatMap(({ card, failure }) =>
      failure === undefined ? [] : [`nothing can be announced from ${card}: ${failure}`],
    );
    this.#letGo(senders);
  }
}
