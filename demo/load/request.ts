/** One request of the load: a new TCP connection, one answer, read to its end. */
import { request } from "node:http";

/** What is asked for again and again. */
export interface Plan {
  /** Goes into each record. */
  readonly kind: "quick" | "slow";
  readonly url: string;
  /** A request every so many milliseconds, whether the earlier ones have been answered or not. */
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

/**
 * *ok*: status 200 and the whole body. *reset*: the connection was made, and ended by the other side before that.
 * *failed*: everything else (refused, not answered in time, another status).
 */
export type RequestOutcome = "ok" | "failed" | "reset";

export interface RequestRecord {
  readonly kind: Plan["kind"];
  /** Milliseconds since 1970, with fractions: when it was to begin, and when it was over. */
  readonly scheduledAt: number;
  readonly endedAt: number;
  readonly outcome: RequestOutcome;
  /** What answered, by its header `Image-Version`; `null` without an answer. */
  readonly version: string | null;
  /** Why it is not ok. */
  readonly detail?: string;
}

/** Milliseconds since 1970 on a clock that does not step within this process. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}

/** Never rejects: whatever happens is the record. */
export function makeRequest(plan: Plan, scheduledAt: number): Promise<RequestRecord> {
  const { promise, resolve } = Promise.withResolvers<RequestRecord>();
  let version: string | null = null;
  let connected = false;
  const end = (outcome: RequestOutcome, detail?: string): void => {
    clearTimeout(timer);
    const record = { kind: plan.kind, scheduledAt, endedAt: now(), outcome, version };
    resolve(detail === undefined ? record : { ...record, detail });
  };
  const wentWrong = (error: NodeJS.ErrnoException): void => {
    const reset = connected && (error.code === "ECONNRESET" || error.code === "EPIPE");
    end(reset ? "reset" : "failed", error.message);
  };
  const sent = request(plan.url, { agent: false, headers: { connection: "close" } }, (response) => {
    version = response.headers["image-version"]?.toString() ?? null;
    // Node makes an answer that ends before its Content-Length an error, ECONNRESET.
    response.on("error", wentWrong);
    response.on("end", () => {
      if (response.statusCode === 200) end("ok");
      else end("failed", `status ${response.statusCode}`);
    });
    response.resume();
  });
  const timer = setTimeout(
    () => sent.destroy(new Error(`no answer in ${plan.timeoutMs} ms`)),
    plan.timeoutMs,
  );
  sent.on("socket", (socket) => socket.on("connect", () => (connected = true)));
  sent.on("error", wentWrong);
  sent.end();
  return promise;
}
