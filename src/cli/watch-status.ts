/** `twinboard status --watch`: what is, again and again, across restarts of the daemon. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Status } from "../api/schemas.ts";
import { asTwinboardError, type TwinboardError } from "../errors.ts";
import type { Client } from "./client.ts";
import { durationText } from "./format.ts";
import { fit, InPlace } from "./in-place.ts";
import { letGoOnSignals } from "./let-go.ts";
import { statusLines } from "./status-lines.ts";
import { printJson } from "./verb.ts";

/** Processor time goes on without an event. */
const refreshMs = 1000;
/** Events come in bursts. */
const leastMs = 100;

export interface Seen {
  readonly status: Status;
  /** Why the daemon does not answer, and since when (milliseconds since 1970); the status is the last one that it told. */
  readonly lost: { readonly error: TwinboardError; readonly sinceMs: number } | undefined;
}

/** Returns the exit code, once somebody has let go. Errors: `daemon-unreachable`, if there is no daemon to begin with. */
export async function watchStatus(client: Client, json: boolean): Promise<number> {
  using letGo = letGoOnSignals();
  const show = chooseShow(json);
  return await letGo.or(async (signal) => {
    try {
      for await (const seen of seenOf(client, signal)) show.status(seen);
      return 0;
    } finally {
      show.close();
    }
  });
}

async function* seenOf(client: Client, signal: AbortSignal): AsyncGenerator<Seen> {
  let status = await client.status();
  let lost: Seen["lost"];
  const events = new Wake(client, status.seq, signal);
  for (;;) {
    yield { status, lost };
    await sleep(leastMs, undefined, { signal });
    await events.next(refreshMs - leastMs);
    signal.throwIfAborted();
    try {
      status = await client.status();
      lost = undefined;
    } catch (cause) {
      const error = asTwinboardError(cause);
      if (error.code !== "daemon-unreachable" && error.code !== "deadline-passed") throw error;
      lost ??= { error, sinceMs: Date.now() };
    }
  }
}

/** Tells that something happened; a connection that is lost is made again. */
class Wake {
  #happened = Promise.withResolvers<void>();

  constructor(client: Client, after: number, signal: AbortSignal) {
    void this.#listen(client, after, signal);
  }

  /** Resolves with the next event, or those since the last call, or after so many milliseconds. */
  async next(ms: number): Promise<void> {
    const over = new AbortController();
    const pause = sleep(ms, undefined, { signal: over.signal }).catch(() => undefined);
    await Promise.race([this.#happened.promise, pause]);
    over.abort();
    this.#happened = Promise.withResolvers();
  }

  async #listen(client: Client, after: number, signal: AbortSignal): Promise<void> {
    let seen = after;
    while (!signal.aborted) {
      try {
        for await (const event of client.events(seen, signal)) {
          if ("record" in event) seen = event.record.seq;
          this.#happened.resolve();
        }
      } catch {
        // Whether there is a daemon, the question for the status tells.
      }
      this.#happened.resolve();
      await sleep(refreshMs, undefined, { signal }).catch(() => undefined);
    }
    this.#happened.resolve();
  }
}

interface Show {
  status(seen: Seen): void;
  close(): void;
}

function chooseShow(json: boolean): Show {
  if (json) return new JsonShow();
  return process.stdout.isTTY && process.env["TERM"] !== "dumb" ? new LiveShow() : new PlainShow();
}

/** The object that `status --json` prints, one a line; an error once, when the daemon is lost. */
class JsonShow implements Show {
  #lost = false;

  status({ status, lost }: Seen): void {
    if (lost === undefined) printJson(status);
    else if (!this.#lost) {
      const { code, kind, message, remedy } = lost.error;
      printJson({ error: { code, kind, message, remedy, phase: null } });
    }
    this.#lost = lost !== undefined;
  }

  close(): void {}
}

class LiveShow implements Show {
  readonly #place = new InPlace(process.stdout);

  status(seen: Seen): void {
    this.#place.draw(watchLines(seen, Date.now()).map((line) => fit(line, this.#place.columns)));
  }

  close(): void {
    this.#place.close();
    // Over the ^C that the terminal shows.
    process.stdout.write("\r\u001B[K");
  }
}

/** Without what changes all the time. */
function steady(board: Status["boards"]["a"]): Status["boards"]["a"] {
  return { ...board, usage: null, dormantCpuNs: null };
}

/** Without a terminal to draw on, what has changed is told below what was. */
class PlainShow implements Show {
  #last = "";

  status(seen: Seen): void {
    const { status, lost } = seen;
    const boards = { a: steady(status.boards.a), b: steady(status.boards.b) };
    const now = JSON.stringify([{ ...status, boards }, lost !== undefined]);
    if (now === this.#last) return;
    const lines = watchLines(seen, Date.now());
    process.stdout.write(`${this.#last === "" ? "" : "\n"}${lines.join("\n")}\n`);
    this.#last = now;
  }

  close(): void {}
}

/** `nowMs`: milliseconds since 1970. Pure. */
export function watchLines({ status, lost }: Seen, nowMs: number): string[] {
  const lines = statusLines(status, lost?.sinceMs ?? nowMs);
  if (lost === undefined) return lines;
  const forText = durationText(Math.max(0, nowMs - lost.sinceMs));
  return [
    ...lines,
    "",
    `THE DAEMON HAS NOT ANSWERED FOR ${forText}: this is what it told last. Waiting for it.`,
  ];
}
