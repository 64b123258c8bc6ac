/** What a host lacks for boards that are to sleep lean (docs/dormancy.md). Changes nothing. */
import { doubtful, type Finding, fine } from "../system/finding.ts";
import { lookForMemoryGroups } from "../system/memory-group.ts";
import { hasSwap, whyNoReclaim } from "../system/memory-reclaim.ts";
import type { BoardKind } from "./kind.ts";

const where = "boards.dormancy";

/** @param kinds what the boards may be. @param proc where process information is found. */
export async function leanFindings(kinds: readonly BoardKind[], proc?: string): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const kind of kinds) {
    // Where each has its group.
    const level = kind === "container" ? "top" : "own";
    const found = await lookForMemoryGroups({ level, ...(proc === undefined ? {} : { proc }) });
    const reason = await whyNoReclaim(found);
    if (reason !== undefined) findings.push(doubtful(where, `${losses[kind]}: ${reason}`, remedy));
  }
  if (!(await hasSwap(proc)))
    findings.push(
      doubtful(
        where,
        "lean: what a sleeping board does not give back stays in memory: the host has no swap",
        "add some (zram, for instance), unless it is small enough",
      ),
    );
  return findings.length > 0
    ? findings
    : [fine(where, "lean: memory of a sleeping board is taken back, and the host has swap")];
}

const remedy =
  "mount a memory controller where the daemon can write to it, of version 2 with Linux 5.19 or later; or choose warm or off";
const losses: Readonly<Record<BoardKind, string>> = {
  container: "lean: a container gives nothing back, and sleeps as one that is warm",
  qemu: "lean: a machine gives back what its guest's balloon does, and no more",
};
