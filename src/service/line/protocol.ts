/**
 * What the daemon and the broker say to each other: JSON, a line each, over the broker's control socket. The broker begins with a greeting;
 * then each request has one answer with its id, in any order. A broker may be older than the daemon: it goes on through the daemon's upgrade.
 */
import type { BoardName } from "../../board/board.ts";
import { boardNames } from "../../board/board.ts";
import { TwinboardError } from "../../errors.ts";
import type { BoardPort } from "./board-end.ts";
import type { LineCounters, LineHolding } from "./line-switch.ts";
import type { LineSpec } from "./spec.ts";

/** Raised when a request or an answer means something else than before; what is only added leaves it as it is. */
export const protocol = 1;

export const greetingKind = "twinboard-lines";
/** A line of either side. */
export const messageLimitBytes = 64 * 1024;

export interface Greeting {
  readonly broker: typeof greetingKind;
  readonly protocol: number;
  readonly pid: number;
}

export interface LineCondition extends LineHolding {
  readonly trouble: string | null;
  readonly counters: LineCounters;
  /** Bytes that the driver had to drop since the line was made; `null`: it does not tell. */
  readonly droppedBytes: number | null;
}

/** Each request: what it carries, and what its answer brings. */
export interface Requests {
  /** Makes the line, or makes it what this says. */
  readonly make: { readonly sent: { readonly line: LineSpec }; readonly answer: null };
  readonly attach: {
    readonly sent: { readonly name: string; readonly board: BoardName; readonly port: BoardPort };
    readonly answer: null;
  };
  readonly inspect: { readonly sent: { readonly name: string }; readonly answer: LineCondition | null };
  readonly lease: {
    readonly sent: { readonly name: string; readonly to: BoardName; readonly epoch: number };
    readonly answer: null;
  };
  readonly settle: {
    readonly sent: { readonly name: string; readonly board: BoardName | null; readonly epoch: number };
    readonly answer: null;
  };
  /**
   * Answers once what the board had sent has left, or after `withinMs`, with the bytes that have not, and with those that the device's driver
   * had to drop since it was last asked.
   */
  readonly drain: {
    readonly sent: { readonly name: string; readonly board: BoardName; readonly withinMs: number };
    readonly answer: {
      readonly foundBytes: number;
      readonly leftBytes: number;
      readonly droppedBytes: number;
    };
  };
  /** Lets go of every line besides those of `keep`; with the last one the broker ends. */
  readonly remove: {
    readonly sent: { readonly keep: readonly string[] } | { readonly name: string };
    readonly answer: { readonly left: number };
  };
}

export type RequestName = keyof Requests;

export interface Request {
  readonly id: number;
  readonly do: string;
  readonly with: Readonly<Record<string, unknown>>;
}

export interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: { readonly code: string; readonly detail: string };
}

/** Errors: `request-invalid`. */
export function readRequest(line: string | undefined): Request {
  const { id, do: name, with: sent } = Object(parsed(line)) as Partial<Request>;
  if (Number.isSafeInteger(id) && typeof name === "string" && typeof sent === "object" && sent !== null)
    return { id: id ?? 0, do: name, with: sent };
  throw invalid("a request of the broker is {id, do, with}");
}

/** Errors: `request-invalid`. */
export function readBoard(value: unknown): BoardName {
  const board = boardNames.find((name) => name === value);
  if (board === undefined) throw invalid(`${String(value)} is no board`);
  return board;
}

/** Errors: `request-invalid`. */
export function readNumber(value: unknown, what: string): number {
  if (Number.isSafeInteger(value) && Number(value) >= 0) return Number(value);
  throw invalid(`${what} is ${String(value)}`);
}

/** Errors: `request-invalid`. */
export function readPort(value: unknown): BoardPort {
  const { path, uid } = Object(value) as Partial<BoardPort>;
  if (typeof path !== "string" || !path.startsWith("/")) throw invalid(`a board's end at ${String(path)}`);
  return { path, uid: readNumber(uid, "the user of a board's end") };
}

/** `undefined`: not JSON. */
export function parsed(line: string | undefined): unknown {
  try {
    return line === undefined ? undefined : JSON.parse(line);
  } catch {
    return undefined;
  }
}

export function invalid(detail: string): TwinboardError {
  return new TwinboardError("request-invalid", { detail });
}
