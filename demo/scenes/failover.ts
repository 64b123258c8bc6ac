/** The board in service is killed while nothing is upgraded: the dormant one takes the service over by itself. */
import { act, lastMoveOf, type Stage } from "../act.ts";
import { now, type RequestRecord } from "../load/request.ts";
import { phaseNarrator, say, sayAct } from "../narrate.ts";
import type { Failover } from "../report.ts";

/** Errors: there is no board in service to kill; no failover followed. */
export async function failover(stage: Stage): Promise<Failover> {
  const { lab, load, signal } = stage;
  const { holder, boards, seq } = await lab.device.status(signal);
  const pid = holder === null ? null : boards[holder].pid;
  if (holder === null || pid === null) throw new Error("no board is in service");
  let killedAt = 0;
  const played = await act(
    stage,
    async (onRecord) => {
      const story = lab.device.storyOfItself("failover", seq, onRecord, signal);
      killedAt = now();
      process.kill(pid, "SIGKILL");
      say(`  board ${holder}, which serves ${boards[holder].version ?? ""}: process ${pid} is killed`);
      return await story;
    },
    phaseNarrator("failover"),
  );
  sayAct(played);
  const takeoverAt = lastMoveOf(played.records);
  const found = {
    ...played,
    takeoverMs: takeoverAt === null ? null : takeoverAt - killedAt,
    firstAnswerMs: firstAnswerMs(load.records, killedAt),
  };
  say(
    `  from the kill: takeover after ${found.takeoverMs?.toFixed(0) ?? "–"} ms, ` +
      `first answer to a new client after ${found.firstAnswerMs?.toFixed(0) ?? "–"} ms`,
  );
  return found;
}

function firstAnswerMs(records: readonly RequestRecord[], killedAt: number): number | null {
  const answers = records
    .filter(({ outcome, scheduledAt }) => outcome === "ok" && scheduledAt >= killedAt)
    .map(({ endedAt }) => endedAt - killedAt);
  return answers.length === 0 ? null : Math.min(...answers);
}
