/** Somebody asks for the previous software: the dormant board takes the service over again. */
import { type Act, act, type Stage } from "../act.ts";
import { command, phaseNarrator, sayAct } from "../narrate.ts";

export async function rollback(stage: Stage): Promise<Act> {
  const { lab, signal } = stage;
  command("twinboard rollback");
  const played = await act(
    stage,
    (onRecord) => lab.device.rollback(onRecord, signal),
    phaseNarrator("rollback"),
  );
  sayAct(played);
  return played;
}
