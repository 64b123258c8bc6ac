/** What a call of a board ends with when its signal aborts because the time that it was given is over. */
import { type ErrorCode, TwinboardError } from "../errors.ts";

/**
 * Whoever limits a call's time aborts it with an error of the code that the call would fail with, whose detail is the limit: then `late` makes the
 * error that tells what was waited for. Any other reason is the caller's own, and is returned as it is.
 */
export function abortedCall(
  { reason }: AbortSignal,
  code: ErrorCode,
  late: (limit: string) => TwinboardError,
): Error {
  return reason instanceof TwinboardError && reason.code === code
    ? late(reason.detail ?? "in time")
    : (reason as Error);
}
