/** Nothing happens, so that it is known what the clients see when nothing is upgraded. */
import { type Seen, type Stage, seen } from "../act.ts";
import { now } from "../load/request.ts";
import { say, saySeen } from "../narrate.ts";

/** The generator's own start is not measured, nor are the first answers of all. */
const settleMs = 1000;

export async function baseline({ load, signal }: Pick<Stage, "load" | "signal">, ms: number): Promise<Seen> {
  say(`  measuring for ${(ms / 1000).toFixed(0)} s what the clients see when nothing is upgraded`);
  const from = now() + settleMs;
  const span = { from, to: from + ms };
  await load.settled(span.to, signal);
  const found = seen(load.records, span);
  saySeen(found);
  return found;
}
