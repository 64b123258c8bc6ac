/** The board in service under watch: what it says, and what its health checks say, from one look to the next. */
import type { BoardName } from "../board/board.ts";
import type { HealthReport } from "../health/health.ts";
import type { Failure } from "./failover-plan.ts";
import type { Parts } from "./scene.ts";

interface Watched {
  readonly board: BoardName;
  /** The run of it that is watched. */
  readonly instance: string;
  failure: Failure | undefined;
  readonly end: () => void;
}

export class HolderWatch {
  readonly #parts: Pick<Parts, "boards" | "health" | "clock">;
  readonly #onFailure: () => void;
  #watched: Watched | undefined;

  /** @param onFailure called each time when something is found against the board. */
  constructor(parts: Pick<Parts, "boards" | "health" | "clock">, onFailure: () => void) {
    this.#parts = parts;
    this.#onFailure = onFailure;
  }

  /** Watches this run of the board, and no other, from now on. Returns what is known against it. */
  of(name: BoardName, instance: string): Failure | null {
    if (this.#watched?.board === name && this.#watched.instance === instance)
      return this.#watched.failure ?? null;
    this.end();
    this.#watched = this.#begin(name, instance);
    return null;
  }

  /** The death of the board, if it was watched when it died. */
  deathOf(name: BoardName): Failure | undefined {
    const failure = this.#watched?.board === name ? this.#watched.failure : undefined;
    return failure?.cause === "died" ? failure : undefined;
  }

  end(): void {
    this.#watched?.end();
    this.#watched = undefined;
  }

  #begin(name: BoardName, instance: string): Watched {
    const board = this.#parts.boards[name];
    const fail = (cause: Failure["cause"], detail: string): void => {
      watched.failure = { board: name, cause, detail, at: this.#parts.clock.now() };
      this.#onFailure();
    };
    const unsubscribe = board.subscribe((event) => {
      if (event.type === "died") fail("died", `${event.cause}: ${event.detail}`);
      if (event.type === "hung") fail("hung", event.detail);
    });
    const unwatch = this.#parts.health.watch(board, (report) => {
      if (report.healthy) {
        // What became healthy again serves on; what died or hung once is not trusted.
        if (watched.failure?.cause === "unhealthy") watched.failure = undefined;
      } else if (watched.failure === undefined) {
        fail("unhealthy", failingChecks(report));
      }
    });
    const end = (): void => {
      unsubscribe();
      unwatch();
    };
    const watched: Watched = { board: name, instance, failure: undefined, end };
    return watched;
  }
}

function failingChecks(report: HealthReport): string {
  return report.checks
    .filter((check) => !check.healthy)
    .map(
      ({ name, failures, reason }) => `${name} failed ${failures} times in a row (${reason ?? "no reason"})`,
    )
    .join(", ");
}
