/** Health as a test says it is: per board, or per version through the board that runs it. */
import type { Board, BoardName } from "../board/board.ts";
import { TwinboardError } from "../errors.ts";
import type { Health, HealthReport } from "./health.ts";

export class SimulatedHealth implements Health {
  readonly #unhealthy = new Set<BoardName>();
  readonly #watchers = new Map<(report: HealthReport) => void, BoardName>();

  /** Watchers hear of it at once. */
  set(board: BoardName, healthy: boolean): void {
    if (healthy) this.#unhealthy.delete(board);
    else this.#unhealthy.add(board);
    for (const [listener, watched] of this.#watchers) if (watched === board) listener(this.#report(board));
  }

  #report(board: BoardName): HealthReport {
    const healthy = !this.#unhealthy.has(board);
    const check = { name: "web", healthy, failures: healthy ? 0 : 3, threshold: 3 };
    return { healthy, checks: [healthy ? check : { ...check, reason: "simulated" }] };
  }

  async verify(board: Board, signal: AbortSignal): Promise<HealthReport> {
    signal.throwIfAborted();
    const report = this.#report(board.name);
    if (report.healthy) return report;
    return await new Promise((_, reject) => {
      const give = (): void => reject(new TwinboardError("board-unhealthy", { detail: "web: simulated" }));
      signal.addEventListener("abort", give, { once: true });
    });
  }

  watch(board: Board, listener: (report: HealthReport) => void): () => void {
    this.#watchers.set(listener, board.name);
    return () => this.#watchers.delete(listener);
  }
}
