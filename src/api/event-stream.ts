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
    let next = events.next();
    while (!signal.aborted) {
      const result = await orNothing(next, heartbeatMs);
      if (result === undefined) yield heartbeat;
      else if (result.done === true) return;
      else {
        yield text(result.value);
        next = events.next();
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await events.return?.();
  }
}

async function orNothing<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const nothing = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined);
  });
  try {
    return await Promise.race([promise, nothing]);
  } finally {
    clearTimeout(timer);
  }
}
