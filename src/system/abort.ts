/** Waiting that its caller may give up. */

/** Settles as `promise` does, or rejects with the signal's reason as soon as it aborts; what was begun goes on by itself. */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason as Error);
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort, { once: true });
  // The loser of the race may fail later, when nobody listens any more.
  promise.catch(() => undefined);
  try {
    return await Promise.race([aborted.promise, promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
