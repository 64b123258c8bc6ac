/** One request of the load: on a connection of its own or on one that is kept alive, one answer, read to its end. */
import { type Agent, request } from "node:http";
import type { Socket } from "node:net";

/** *quick* and *slow*: a new connection each, the second for a long download. *steady* and *idle*: one connection, busy or mostly not. */
export type PlanKind = "quick" | "slow" | "steady" | "idle";

/** What is asked for again and again. */
export interface Plan {
  /** Goes into each record. */
  readonly kind: PlanKind;
  readonly url: string;
  /** A request every so many milliseconds, whether the earlier ones have been answered or not; on average if `keptAlive`. */
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Milliseconds by which it begins later than the others. */
  readonly offsetMs?: number;
  /** One client with one connection that it keeps; the pause before each request is drawn between none and twice `intervalMs`. */
  readonly keptAlive?: boolean;
}

/**
 * *ok*: status 200 and the whole body. *reset*: the connection was made, and ended by the other side before that.
 * *failed*: everything else (refused, not answered in time, another status).
 */
export type RequestOutcome = "ok" | "failed" | "reset";

export interface RequestRecord {
  readonly kind: PlanKind;
  /** Milliseconds since 1970, with fractions: when it was to begin, and when it was over. */
  readonly scheduledAt: number;
  readonly endedAt: number;
  readonly outcome: RequestOutcome;
  /** What answered, by its header `Image-Version`; `null` without an answer. */
  readonly version: string | null;
  /** On a connection that had served a request before. */
  readonly reused?: true;
  /** Sent once more, on a connection of its own: the kept one was closed in the instant in which the request was sent. */
  readonly repeated?: true;
  /** Over IPv6. */
  readonly ipv6?: true;
  /** Why it is not ok. */
  readonly detail?: string;
}

/** Milliseconds since 1970 on a clock that does not step within this process. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}

/** A reset that was on its way when the request was sent is read within this time, also on a busy machine. */
const crossingMs = 250;

/**
 * Never rejects: whatever happens is the record. Sent once more is only a request that crosses the closing of its kept connection, as a client
 * may that repeats what is idempotent (RFC 9110, section 9.2.2, and RFC 9112, section 9.3.1): the reset comes at once, and nothing of an answer.
 * One that was waited for, and then cut, is a reset.
 * @param agent keeps the connection, or `false`
 */
export async function makeRequest(
  plan: Plan,
  scheduledAt: number,
  agent: Agent | false = false,
): Promise<RequestRecord> {
  const { record, crossed } = await send(plan, scheduledAt, agent);
  if (!crossed) return record;
  // Not by the agent: another request may wait there, and this one would be the second on a connection again.
  const again = await send(plan, scheduledAt, false);
  return { ...again.record, repeated: true };
}

interface Sent {
  readonly record: RequestRecord;
  /** It was reset on a kept connection, at once, and without a byte of the answer. */
  readonly crossed: boolean;
}

function send(plan: Plan, scheduledAt: number, agent: Agent | false): Promise<Sent> {
  const { promise, resolve } = Promise.withResolvers<Sent>();
  /** The connection that it was sent on, if that was kept: since when, and what had come on it by then. */
  let kept: { readonly socket: Socket; readonly bytesRead: number; readonly at: number } | undefined;
  let version: string | null = null;
  let connected = false;
  let reused = false;
  const end = (outcome: RequestOutcome, detail?: string): void => {
    clearTimeout(timer);
    const record: RequestRecord = {
      kind: plan.kind,
      scheduledAt,
      endedAt: now(),
      outcome,
      version,
      ...(reused ? { reused } : {}),
      ...(plan.url.includes("[") ? { ipv6: true } : {}),
      ...(detail === undefined ? {} : { detail }),
    };
    const crossed =
      outcome === "reset" &&
      kept !== undefined &&
      kept.socket.bytesRead === kept.bytesRead &&
      now() - kept.at < crossingMs;
    resolve({ record, crossed });
  };
  const wentWrong = (error: NodeJS.ErrnoException): void => {
    const reset = connected && (error.code === "ECONNRESET" || error.code === "EPIPE");
    end(reset ? "reset" : "failed", error.message);
  };
  const headers = agent === false ? { connection: "close" } : {};
  const sent = request(plan.url, { agent, headers }, (response) => {
    version = response.headers["image-version"]?.toString() ?? null;
    // Node makes an answer that ends before its Content-Length an error, ECONNRESET.
    response.on("error", wentWrong);
    response.on("end", () => {
      if (response.statusCode === 200) end("ok");
      else end("failed", `status ${response.statusCode}`);
    });
    response.resume();
  });
  const timer = setTimeout(() => {
    const from = connected ? `port ${sent.socket?.localPort}` : "no connection";
    sent.destroy(new Error(`no answer in ${plan.timeoutMs} ms (${from})`));
  }, plan.timeoutMs);
  sent.on("socket", (socket) => {
    // Not `reusedSocket`: Node leaves it unset where the request waited for the one before.
    reused = connected = !socket.connecting;
    if (reused) kept = { socket, bytesRead: socket.bytesRead, at: now() };
    if (socket.connecting) socket.once("connect", () => (connected = true));
  });
  sent.on("error", wentWrong);
  sent.end();
  return promise;
}
