/** After a failover the other board boots again by itself, and is laid to sleep: the next failure finds one that can take over. */
import { type Act, act, type Stage } from "../act.ts";
import { phaseNarrator, sayAct } from "../narrate.ts";

/** @param afterSeq sequence number of the failover's last record. */
export async function standby(stage: Stage, afterSeq: number): Promise<Act> {
  const { lab, signal } = stage;
  const played = await act(
    stage,
    (onRecord) => lab.device.storyOfItself("standby", afterSeq, onRecord, signal),
    phaseNarrator("standby"),
  );
  sayAct(played);
  return played;
}
