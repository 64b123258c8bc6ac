/**
 * Server-sent events (HTML Living Standard, "Server-sent events"). Records carry their sequence number as id, so that a client that
 * lost its connection goes on where it was; progress is not numbered, and lost when nobody listens.
 */
import type { BoardName } from "../board/board.ts";
import type { StoryEvent } from "../upgrade/story-events.ts";
import type { ServedSystem } from "./served-system.ts";

const heartbeatMs = 10_000;
const heartbeat = ": still here\n\n";

function text(event: StoryEvent): string {
  // JSON has no line breaks of its own, so that one data line holds it.
  return "record" in event
    ? `event: record\nid: ${event.record.seq}\ndata: ${JSON.stringify(event.record)}\n\n`
    : `event: progress\ndata: ${JSON.stringify(event.progress)}\n\n`;
}

/** The events after `afterSeq` as text, with a comment whenever nothing happened for ten seconds; ends when the signal aborts. */
export async function* eventStream(
  system: ServedSystem,
  afterSeq: number,
  signal: AbortSignal,
): AsyncGenerator<string> {
  yield* told(system.events(afterSeq, signal), text, signal);
}

/** The last lines of a board's console and each that follows, as `event: line` with a JSON string; heartbeats and end as of `eventStream`. */
export async function* logStream(
  system: ServedSystem,
  board: BoardName,
  lines: number,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const log = system.followConsole(board, lines, signal);
  yield* told(log, (line) => `event: line\ndata: ${JSON.stringify(line)}\n\n`, signal);
}

async function* told<Event>(
  source: AsyncIterable<Event>,
  text: (event: Event) => string,
  signal: AbortSignal,
): AsyncGenerator<string> {
  // The first byte tells the client that its request was accepted, however long nothing happens.
  yield heartbeat;
  const events = source[Symbol.asyncIterator]();
  try {
    let next = new Awaited(events.next());
    while (!signal.aborted) {
      if (!(await next.within(heartbeatMs))) yield heartbeat;
      else {
        const result = await next.promise;
        if (result.done === true) return;
        yield text(result.value);
        next = new Awaited(events.next());
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await events.return?.();
  }
}

/**
 * A promise that is looked at again and again. It is listened to once: each `Promise.race` would leave a listener on it until it settles,
 * and a client may watch for months in which nothing happens.
 */
class Awaited<T> {
  readonly promise: Promise<T>;
  #settled = false;
  #wake: () => void = () => undefined;

  constructor(promise: Promise<T>) {
    this.promise = promise;
    const settle = (): void => {
      this.#settled = true;
      this.#wake();
    };
    promise.then(settle, settle);
  }

  /** Whether it settles in so many milliseconds. */
  async within(ms: number): Promise<boolean> {
    if (this.#settled) return true;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
    return this.#settled;
  }
}
