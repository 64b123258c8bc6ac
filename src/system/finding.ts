/** What was found on a host that is to run a system: what is there, what is missing, and what to do about it. */
import { type ErrorCode, TwinboardError } from "../errors.ts";

/**
 * *error*: a first start of the daemon is refused. *warning*: it starts, but something will not be as it should.
 * *unknown*: it could not be looked at. *ok*: there is nothing to do.
 */
export type Severity = "error" | "warning" | "unknown" | "ok";

export interface Finding {
  readonly severity: Severity;
  /** The key of the configuration, the path or the part of the host that it is about. */
  readonly where: string;
  /** A sentence without its full stop. */
  readonly what: string;
  /** Empty if there is nothing to do. */
  readonly remedy: string;
  /** Why a first start is refused; only of an error. */
  readonly error?: TwinboardError;
}

/** An error; `detail` says what exactly, after the code's own sentence. The remedy is the code's own if it is left out. */
export function lacking(where: string, code: ErrorCode, detail: string, remedy?: string): Finding {
  const error = new TwinboardError(code, { detail, ...(remedy === undefined ? {} : { remedy }) });
  return { severity: "error", where, what: error.message, remedy: error.remedy, error };
}

export function doubtful(where: string, what: string, remedy: string): Finding {
  return { severity: "warning", where, what, remedy };
}

export function unseen(where: string, what: string, remedy: string): Finding {
  return { severity: "unknown", where, what, remedy };
}

export function fine(where: string, what: string): Finding {
  return { severity: "ok", where, what, remedy: "" };
}
