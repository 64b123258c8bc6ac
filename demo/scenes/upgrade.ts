/** An upgrade under load, whatever becomes of it. */
import { type Act, act, type Stage } from "../act.ts";
import { command, phaseNarrator, sayAct } from "../narrate.ts";

export async function upgrade(stage: Stage, bundle: string): Promise<Act> {
  const { lab, signal } = stage;
  command(`twinboard upgrade ${bundle}`);
  const played = await act(
    stage,
    (onRecord) => lab.device.upgrade(bundle, onRecord, signal),
    phaseNarrator("upgrade"),
  );
  sayAct(played);
  return played;
}
