/**
 * Probation: the time after a takeover in which any failure of the new board sends the service back. Inside it the old holder drains.
 * The rule: the new board dies or hangs → failed at once; its wire is cut and the old board's is not → failed at once; a health check
 * reaches its threshold → failed; otherwise it is over when its whole time was served under a daemon's eyes and the old board has finished what it began.
 */
import type { BoardName } from "../board/board.ts";
import { TwinboardError } from "../errors.ts";
import { AnswerTimes } from "../health/answer-times.ts";
import type { HealthReport } from "../health/health.ts";
import { noteLacks } from "./confinement-notes.ts";
import { drainBoard, endFlows } from "./drain.ts";
import type { Scene } from "./scene.ts";
import { whileLinked } from "./wires.ts";

/** How often the time served is noted, in parts of the whole: what a crash of the daemon costs of it. */
const notes = 20;
const leastStepMs = 1000;
/** Of a board that failed, for the report. */
const consoleLines = 20;

export async function serveProbation(scene: Scene): Promise<void> {
  const { parts, facts } = scene;
  if (facts.kind === "failover") {
    try {
      return await proveItself(scene);
    } finally {
      // It was not asked before: a failover of a board that does no more work skips `verify`.
      await noteLacks(scene);
    }
  }
  const board = parts.boards[facts.to];
  await whileServing(scene, async (alive) => {
    const ending = new AbortController();
    const answers = new AnswerTimes(parts.clock);
    const look = (report: HealthReport): void => {
      if (report.healthy) return;
      ending.abort(new TwinboardError("board-unhealthy", { detail: unhealthyDetail(facts.to, report) }));
    };
    const unwatch = parts.health.watch(board, look, answers.add);
    const unsubscribe = board.subscribe((event) => {
      if (event.type === "hung")
        ending.abort(new TwinboardError("board-hung", { detail: `board ${facts.to}: ${event.detail}` }));
    });
    const watched = alive.withSignal(AbortSignal.any([alive.signal, ending.signal]));
    try {
      await bothOrNeither(ending, serveTime(watched), relieve(watched));
    } finally {
      unwatch();
      unsubscribe();
      await scene.noteAnswers(answers);
      await scene.noteMemoryKills();
    }
  });
}

/** The new board is alive, and its wire is not cut while the old one's is not. */
async function whileServing(scene: Scene, work: (scene: Scene) => Promise<void>): Promise<void> {
  const { to, from } = scene.facts;
  await scene.whileAlive(to, (alive) => whileLinked(alive, to, from, work));
}

/** Waits for both; the failure of one ends the other, and is thrown once both have ended. */
async function bothOrNeither(ending: AbortController, ...works: readonly Promise<void>[]): Promise<void> {
  const endOthers = (error: unknown): void => ending.abort(error);
  await Promise.all(works.map((work) => work.catch(endOthers)));
  ending.signal.throwIfAborted();
}

function unhealthyDetail(name: BoardName, report: HealthReport): string {
  const failing = report.checks.filter((check) => !check.healthy);
  const reasons = failing.map(
    (check) => `${check.name} failed ${check.failures} times in a row (${check.reason ?? "no reason"})`,
  );
  return `board ${name}: ${reasons.join(", ")}`;
}

/** After a failover: what the failed board had begun is ended, and the board that took over is asked whether it is healthy. */
async function proveItself(scene: Scene): Promise<void> {
  const { parts, facts } = scene;
  const { from, to } = facts;
  await scene.whileAlive(to, async (alive) => {
    if (from !== null && facts.drain === null) {
      await scene.note({ drain: await endFlows(alive, from) });
      await parts.service.fence(from);
      const failedConsole = await parts.boards[from].consoleTail(consoleLines).catch(() => []);
      await scene.note({ failedConsole });
    }
    await alive.within(parts.settings.verifyTimeoutMs, "board-unhealthy", (signal) =>
      parts.health.verify(parts.boards[to], signal),
    );
  });
}

async function serveTime(scene: Scene): Promise<void> {
  const { parts, facts, signal } = scene;
  const totalMs = facts.kind === "rollback" ? 0 : parts.settings.probationMs;
  while (scene.facts.servedMs < totalMs) {
    const { servedMs } = scene.facts;
    const stepMs = Math.min(Math.max(leastStepMs, totalMs / notes), totalMs - servedMs);
    await parts.clock.sleep(stepMs, signal);
    await scene.note({ servedMs: servedMs + stepMs });
  }
}

/** The old board finishes what it began, or is cut at the deadline; then it is fenced, and waits as a standby. */
async function relieve(scene: Scene): Promise<void> {
  const { parts, facts } = scene;
  const { from } = facts;
  if (from === null) return;
  if (facts.drain === null) {
    await scene.note({ drain: await drainBoard(scene, from, facts.takeoverAt ?? parts.clock.now()) });
  }
  scene.signal.throwIfAborted();
  await parts.service.fence(from);
  await parts.boards[from].setPriority("background");
}
