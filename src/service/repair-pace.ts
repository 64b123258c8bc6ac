/** How often what a leased service lost by itself (a device that was pulled and is back) is put right again: whenever somebody looks at it, within bounds. */

const everyMs = 1000;
/** What failed may have taken as long as its deadline: whoever looks is not to wait for it each time. */
const afterFailureMs = 10_000;

export class RepairPace {
  #notBefore = Number.NEGATIVE_INFINITY;

  /** Whether it is time for another attempt. */
  get isDue(): boolean {
    return performance.now() >= this.#notBefore;
  }

  /** Resolves with why it failed, or `undefined`. */
  async attempt(work: () => Promise<void>): Promise<string | undefined> {
    this.#notBefore = performance.now() + everyMs;
    try {
      await work();
      return undefined;
    } catch (error) {
      this.#notBefore = performance.now() + afterFailureMs;
      return (error as Error).message;
    }
  }
}
