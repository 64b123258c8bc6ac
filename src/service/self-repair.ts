/** What a leased service lost by itself (a device that was pulled and is back) is put right again: whenever somebody looks at it, within bounds. */
import type { LeasedCondition } from "./leased.ts";

const everyMs = 1000;
/** What failed may have taken as long as its deadline: whoever looks is not to wait for it each time. */
const afterFailureMs = 10_000;

export interface Seen {
  readonly condition: LeasedCondition;
  /** It is not as it was left, and `mend` may make it so. */
  readonly isWrong: boolean;
}

export class SelfRepair {
  #notBefore = Number.NEGATIVE_INFINITY;

  /** What is, after an attempt to put right what is wrong; its trouble also says why that failed. Errors: those of `look`. */
  async inspect(look: () => Promise<Seen>, mend: () => Promise<void>): Promise<LeasedCondition> {
    const { condition, isWrong } = await look();
    if (!isWrong || performance.now() < this.#notBefore) return condition;
    const failure = await this.#attempt(mend);
    const { condition: after } = await look();
    return failure === undefined || after.trouble === null
      ? after
      : { ...after, trouble: `${after.trouble} (it was tried to put it right: ${failure})` };
  }

  /** Resolves with why it failed, or `undefined`. */
  async #attempt(mend: () => Promise<void>): Promise<string | undefined> {
    this.#notBefore = performance.now() + everyMs;
    try {
      await mend();
      return undefined;
    } catch (error) {
      this.#notBefore = performance.now() + afterFailureMs;
      return (error as Error).message;
    }
  }
}
