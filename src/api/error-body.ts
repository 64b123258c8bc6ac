/** How an error crosses the API. */
import { asTwinboardError, TwinboardError } from "../errors.ts";
import type { ErrorBody } from "./schemas.ts";

export function errorBody(error: unknown): { readonly body: ErrorBody; readonly status: number } {
  const { code, kind, message, remedy, phase, status } = asTwinboardError(error);
  return { body: { error: { code, kind, message, remedy, phase: phase ?? null } }, status };
}

/** The error of a request that is refused before it reaches the system. */
export function requestError(detail: string): TwinboardError {
  return new TwinboardError("request-invalid", { detail });
}
