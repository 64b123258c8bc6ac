/**
 * A serial line or stream as a leased service. All of it is in the system's broker, which outlives the daemon; this asks it.
 */
import type { BoardName } from "../../board/board.ts";
import { TwinboardError } from "../../errors.ts";
import type { SystemNames } from "../../system/names.ts";
import type { LeasedCondition, LeasedDrain, LeasedService } from "../leased.ts";
import type { BoardPort } from "./board-end.ts";
import type { BrokerConnection } from "./broker-connection.ts";
import { findBroker, lastWords, reachBroker } from "./broker-process.ts";
import { letGoOfLines } from "./let-go.ts";
import type { LineCounters } from "./line-switch.ts";
import type { LineCondition, RequestName, Requests } from "./protocol.ts";
import type { LineSpec } from "./spec.ts";

export interface LineServiceOptions {
  readonly names: SystemNames;
  readonly line: LineSpec;
  /** Where each board's machine has its end of the line. */
  readonly ports: Readonly<Record<BoardName, BoardPort>>;
  /** Called when the broker ends without having been told to: then nothing is set up any more. */
  readonly onGone?: () => void;
}

export interface LineFigures extends LineCounters {
  /** Bytes that the device's driver had to drop since the line was made; `null`: it does not tell. */
  readonly droppedBytes: number | null;
}

/** After a takeover, what the old board had sent may still take this long to leave a slow line before the drain says what is left. */
const drainMs = 10_000;

export class LineService implements LeasedService {
  readonly #options: LineServiceOptions;
  #connection: BrokerConnection | undefined;

  constructor(options: LineServiceOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.line.name;
  }

  /** Errors: `missing-program`, `command-failed`, `line-broker-unsuitable`, `deadline-passed`. */
  async setUp(signal: AbortSignal): Promise<void> {
    const broker = await this.#broker(signal, reachBroker);
    await broker?.ask("make", { line: this.#options.line }, signal);
  }

  /** Errors: `service-not-set-up`. */
  async attach(board: BoardName, signal: AbortSignal): Promise<void> {
    const port = this.#options.ports[board];
    await this.#ask("attach", { name: this.name, board, port }, signal);
  }

  /** Errors: `line-broker-unsuitable`, `deadline-passed` (the broker does not answer). */
  async inspect(): Promise<LeasedCondition> {
    const found = await this.#found();
    if (found === null)
      return { present: false, holder: null, leasedTo: null, epoch: 0, trouble: await this.#absence() };
    const { holder, leasedTo, epoch, trouble } = found;
    return { present: true, holder, leasedTo, epoch, trouble };
  }

  /** What has passed, what waits, and what was thrown away since the line was made; `null`: nothing is set up. */
  async figures(): Promise<LineFigures | null> {
    const found = await this.#found();
    return found === null ? null : { ...found.counters, droppedBytes: found.droppedBytes };
  }

  async lease(to: BoardName, epoch: number, signal: AbortSignal): Promise<void> {
    await this.#move("lease", { name: this.name, to, epoch }, signal);
  }

  async settle(board: BoardName | null, epoch: number, signal: AbortSignal): Promise<void> {
    await this.#move("settle", { name: this.name, board, epoch }, signal);
  }

  async drain(
    board: BoardName,
    { sinceMs, atOnce = false }: { readonly sinceMs: number; readonly atOnce?: boolean },
    signal: AbortSignal,
  ): Promise<LeasedDrain> {
    signal.throwIfAborted();
    await this.#requireNoHolder(board, "drain");
    const withinMs = atOnce ? 0 : Math.max(0, Math.round(sinceMs + drainMs - Date.now()));
    const sent = { name: this.name, board, withinMs };
    const answer = await this.#ask("drain", sent, signal, withinMs).catch(unlessGone);
    const { foundBytes, leftBytes, droppedBytes } = answer ?? {
      foundBytes: 0,
      leftBytes: 0,
      droppedBytes: 0,
    };
    const remarks = [
      ...(answer === undefined ? [`the broker of line ${this.name} does not run: what it had is lost`] : []),
      ...(droppedBytes > 0 ? [`the driver of line ${this.name} dropped ${droppedBytes} bytes`] : []),
      ...(leftBytes > 0 ? [`${leftBytes} bytes of board ${board} still wait for line ${this.name}`] : []),
    ];
    // They leave by themselves, before anything of the new holder; the board has no part in that.
    return { left: 0, finished: foundBytes - leftBytes, closedEarly: 0, cut: 0, remarks };
  }

  async fence(board: BoardName): Promise<void> {
    // Who does not hold is not heard, and hears nothing.
    await this.#requireNoHolder(board, "fence");
  }

  async tearDown(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#connection?.close();
    await letGoOfLines(this.#options.names, { name: this.name }, signal);
  }

  async #found(): Promise<LineCondition | null> {
    const { signal } = new AbortController();
    const broker = await this.#broker(signal, findBroker);
    return (await broker?.ask("inspect", { name: this.name }, signal).catch(unlessGone)) ?? null;
  }

  async #move<Name extends "lease" | "settle">(
    name: Name,
    sent: Requests[Name]["sent"],
    signal: AbortSignal,
  ): Promise<void> {
    try {
      await this.#ask(name, sent, signal);
    } catch (cause) {
      if (!(cause instanceof TwinboardError) || cause.code === "stale-epoch" || signal.aborted) throw cause;
      throw new TwinboardError("takeover-failed", { detail: `line ${this.name}: ${cause.message}`, cause });
    }
  }

  async #ask<Name extends RequestName>(
    name: Name,
    sent: Requests[Name]["sent"],
    signal: AbortSignal,
    extraMs = 0,
  ): Promise<Requests[Name]["answer"]> {
    const broker = await this.#broker(signal, findBroker);
    if (broker === undefined)
      throw new TwinboardError("service-not-set-up", {
        detail: `line ${this.name}: its broker does not run`,
      });
    return await broker.ask(name, sent, signal, extraMs);
  }

  async #broker<Found extends BrokerConnection | undefined>(
    signal: AbortSignal,
    find: (names: SystemNames, signal: AbortSignal) => Promise<Found>,
  ): Promise<BrokerConnection | Found> {
    if (this.#connection?.isOpen === true) return this.#connection;
    const found = await find(this.#options.names, signal);
    this.#connection = found;
    if (found !== undefined) void this.#noteEnd(found);
    return found;
  }

  async #noteEnd(broker: BrokerConnection): Promise<void> {
    if ((await broker.ended) === "broker") this.#options.onGone?.();
  }

  async #requireNoHolder(board: BoardName, what: string): Promise<void> {
    if ((await this.inspect()).holder !== board) return;
    throw new TwinboardError("internal", {
      detail: `${what} of board ${board}, which holds line ${this.name}`,
    });
  }

  /** Why nothing is set up, where something was. */
  async #absence(): Promise<string | null> {
    const said = await lastWords(this.#options.names);
    if (said === undefined) return null;
    return `the broker of the lines has ended${said === "" ? "" : `: ${said}`}`;
  }
}

function unlessGone(error: unknown): undefined {
  if (error instanceof TwinboardError && error.code === "service-not-set-up") return undefined;
  throw error;
}
