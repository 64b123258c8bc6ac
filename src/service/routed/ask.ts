/** Questions about many flows at once, of the board in its clients' names or of the clients themselves. */
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { BoardName } from "../../board/board.ts";
import { loadRules } from "../../system/nft.ts";
import { askingFile } from "./elements.ts";
import type { ServiceFlow } from "./flows.ts";
import { linkedFamilies, type RoutedPlan } from "./plan.ts";
import { sendSyns, synToBoard, synToClient } from "./probe.ts";
import { probePorts } from "./probe-ports.ts";

export interface Question {
  readonly flow: ServiceFlow;
  readonly of: "board" | "client";
  /** The answer closes the flow on the other end, unless a request comes first. */
  readonly mayClose: boolean;
}

export interface Asked {
  readonly board: BoardName;
  /** With another epoch nobody is asked. */
  readonly epoch: number;
}

/** Errors: `command-failed` (another epoch; those of this batch were not asked), `deadline-passed`; the signal's reason. */
export async function ask(
  plan: RoutedPlan,
  { board, epoch }: Asked,
  questions: readonly Question[],
  signal: AbortSignal,
): Promise<void> {
  const path = join(plan.stateDirectory, `routed-ask-${board}.nft`);
  try {
    for (const { family, links } of linkedFamilies(plan)) {
      const ofFamily = questions.filter(({ flow }) => flow.answeredBy === links[board]);
      for (let first = 0; first < ofFamily.length; first += probePorts) {
        signal.throwIfAborted();
        const batch = ofFamily.slice(first, first + probePorts);
        const closing = batch.filter(({ mayClose }) => mayClose).map(({ flow }) => flow);
        const askers = batch.filter(({ of }) => of === "board").map(({ flow }) => flow);
        // Not synced: it is read once, now.
        await writeFile(path, askingFile(plan, epoch, { family, closing, askers }));
        await loadRules(path, signal);
        await sendSyns([
          ...askers.map((flow, index) => synToBoard(flow, links, index)),
          ...batch.filter(({ of }) => of === "client").map(({ flow }) => synToClient(flow)),
        ]);
      }
    }
  } finally {
    await rm(path, { force: true });
  }
}
