/** What the boards of a configuration may be. */
import { join } from "node:path";
import { type BoardName, boardNames } from "../board/board.ts";
import { containerRecords } from "../board/container/container-options.ts";
import { findLaunch, findLiving } from "../board/container/container-process.ts";
import { type BoardKind, boardKinds, kindWords } from "../board/kind.ts";
import { recordDirectory } from "../board/qemu/board-directories.ts";
import { processFile } from "../board/qemu/launch-script.ts";
import { findMachineProcess } from "../board/qemu/machine-process.ts";
import type { Config } from "../config/config.ts";
import { TwinboardError } from "../errors.ts";
import type { KindRules } from "../slot/kind.ts";
import { type Finding, fine, lacking, unseen } from "../system/finding.ts";
import type { SystemNames } from "../system/names.ts";

/** What runs serves, and its cards have the names that those of the other kind would take. Errors: `config-changed`. */
export async function refuseOtherKinds(names: SystemNames, kinds: Config["boards"]["kinds"]): Promise<void> {
  const detail = await otherKind(names, kinds);
  if (detail !== undefined) throw new TwinboardError("config-changed", { detail });
}

/** The same as `check` tells it. Changes nothing. */
export async function kindFinding(names: SystemNames, kinds: Config["boards"]["kinds"]): Promise<Finding> {
  const where = "boards.kind";
  // What runs is written down where root alone can read it.
  if (process.geteuid?.() !== 0)
    return unseen(where, "what the boards run as now was not looked at", "run this as root");
  const detail = await otherKind(names, kinds);
  if (detail !== undefined) return lacking(where, "config-changed", detail);
  return fine(where, "each board that runs is of a kind that it may be");
}

/** A board that runs as what it may not be, or is about to, as a sentence. */
async function otherKind(names: SystemNames, kinds: Config["boards"]["kinds"]): Promise<string | undefined> {
  for (const name of boardNames) {
    const doing: Readonly<Record<BoardKind, string | undefined>> = {
      qemu: await machineDoes(names, name),
      container: await containerDoes(names, name),
    };
    for (const kind of boardKinds) {
      if (doing[kind] === undefined || kinds[name].includes(kind)) continue;
      const allowed = kinds[name].map((one) => kindWords[one]).join(" or ");
      return `board ${name} ${doing[kind]} as ${kindWords[kind]}, and boards.kind lets it be ${allowed} alone; where it names both kinds, an upgrade leads from one to the other`;
    }
  }
  return undefined;
}

/** One that is being launched is found too: from the beginning its process has the machine's arguments. */
async function machineDoes(names: SystemNames, name: BoardName): Promise<string | undefined> {
  const machine = await findMachineProcess(join(recordDirectory(names, name), processFile));
  return machine === undefined ? undefined : "runs";
}

async function containerDoes(names: SystemNames, name: BoardName): Promise<string | undefined> {
  const records = containerRecords(names, name);
  if ((await findLaunch(records)) !== undefined) return "is being started";
  return (await findLiving(records)) === undefined ? undefined : "runs";
}

/** Those that at least one board may be. */
export function kindsIn({ boards: { kinds } }: Config): BoardKind[] {
  return boardKinds.filter((kind) => kinds.a.includes(kind) || kinds.b.includes(kind));
}

/** What the board of a slot may be, and what the configuration gives it that a container cannot have. */
export function kindRulesOf({ boards, lines, cans, network }: Config, name: BoardName): KindRules {
  const [line] = lines;
  const [can] = cans;
  const lack =
    line !== undefined
      ? `the serial line or stream ${line.name}`
      : can !== undefined
        ? `the CAN bus ${can.name}`
        : network.mode === "two-cards" && network.passedThrough
          ? `the card ${network.uplinks[name]} of its own`
          : undefined;
  return { allowed: boards.kinds[name], lacks: lack === undefined ? {} : { container: lack } };
}
