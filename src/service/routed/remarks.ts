/** What went otherwise than usual in a drain, as sentences for the report. */
import type { BoardName } from "../../board/board.ts";
import type { CutOutcome } from "./cut.ts";

const count = "net/netfilter/nf_conntrack_count";
const most = "net/netfilter/nf_conntrack_max";

export class Remarks {
  readonly #board: BoardName;
  #fullAt: string | undefined;
  #clientsUntold = 0;
  #boardsUntold = 0;

  constructor(board: BoardName) {
    this.#board = board;
  }

  /** Whether the kernel has room for new flows (nf_conntrack-sysctl.rst). Errors: those of `readSetting`. */
  async noteTable(readSetting: (path: string) => Promise<string>): Promise<void> {
    const limit = await readSetting(most);
    // 0: without a limit.
    if (limit !== "0" && Number(await readSetting(count)) >= Number(limit)) this.#fullAt = limit;
  }

  noteBoardSilent(flows: number): void {
    this.#boardsUntold += flows;
  }

  noteCut({ clientsUntold, boardsUntold }: CutOutcome): void {
    this.#clientsUntold += clientsUntold;
    this.#boardsUntold += boardsUntold;
  }

  sentences(): string[] {
    const found: string[] = [];
    if (this.#fullAt !== undefined)
      found.push(
        `the kernel's table of flows was full (nf_conntrack_max is ${this.#fullAt}): it drops new connections of everybody`,
      );
    if (this.#clientsUntold > 0)
      found.push(
        `the clients of ${counted(this.#clientsUntold)} could not be told; what they send is answered by a reset`,
      );
    if (this.#boardsUntold > 0)
      found.push(
        `board ${this.#board} did not answer for ${counted(this.#boardsUntold)}; it learns of their end when it sends`,
      );
    return found;
  }
}

function counted(flows: number): string {
  return flows === 1 ? "1 flow" : `${flows} flows`;
}
