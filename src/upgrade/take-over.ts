/** Takeover: the service moves to the new board. */
import type { Scene } from "./scene.ts";
import { silence } from "./silence.ts";

/** New work reaches the new board. The transaction inside `handOver` is the commit point; the kernel, not memory, says on which side we are. */
export async function takeOver(scene: Scene): Promise<void> {
  const { parts, facts } = scene;
  const { service } = parts;
  let takeoverMs: number | null = null;
  await scene.whileAlive(facts.to, async (alive) => {
    const { signal } = alive;
    // A daemon before this one may have ended between the transaction and what follows it.
    const again = (await service.inspect()).holder === facts.to;
    const partly = facts.kind === "failover" || facts.kind === "restart";
    if (!again) {
      await service.release(signal);
      await service.prepare(facts.to, signal, { partly });
      await parts.boards[facts.to].setPriority("service");
      await scene.note({ takeoverAt: parts.clock.now() });
      if (facts.from !== null) await silence(alive, facts.from, { ask: facts.failure?.cause !== "hung" });
    }
    const { ms } = await service.handOver(facts.to, signal, { partly });
    if (!again) takeoverMs = ms;
    const { hookTimeoutMs } = parts.settings;
    await alive.within(hookTimeoutMs, "hook-failed", (hook) =>
      parts.boards[facts.to].runHook("activate", hook),
    );
  });
  if (takeoverMs !== null) await scene.noteForReport({ takeoverMs });
}
