/** Taking up what an earlier daemon, or the host's last boot, left: stories are ended or gone on with, and somebody serves again. */
import { type BoardName, otherBoard } from "../board/board.ts";
import { type ErrorCode, TwinboardError } from "../errors.ts";
import { layToSleep } from "./dormancy.ts";
import { factsOf, type NotedFacts } from "./facts.ts";
import { bringsBack, type JournalRecord } from "./record.ts";
import { planRecovery, type RecoveryPlan } from "./recovery.ts";
import { describeError, rowsOf, runStory, undoStory } from "./runner.ts";
import type { Parts } from "./scene.ts";
import type { Stories } from "./stories.ts";
import { maxTries } from "./system-file.ts";
import { lossByMove } from "./wires.ts";

const settleTimeoutMs = 10_000;

/** Why a story is undone that had not failed when the daemon before us ended. */
const codeOf = {
  reboot: "host-rebooted",
  died: "board-died",
  undo: "undone-unrecorded",
} as const satisfies Record<string, ErrorCode>;

export class TakeUp {
  readonly #parts: Parts;
  readonly #stories: Stories;

  constructor(parts: Parts, stories: Stories) {
    this.#parts = parts;
    this.#stories = stories;
  }

  /** What decides who is primary comes first, then somebody serves, then the rest goes on. */
  async run(): Promise<void> {
    const { boards, boot, systemFile } = this.#parts;
    const later: { records: JournalRecord[]; plan: RecoveryPlan }[] = [];
    const inVain = new Set<BoardName>();
    for (const records of this.#unfinished()) {
      const facts = factsOf(records);
      const plan = planRecovery(facts, rowsOf(facts), {
        rebooted: facts.boot !== boot,
        newBoard: await boards[facts.to].inspect(),
        committed: systemFile.state.primary === facts.to,
        slotIsBad: systemFile.state.slots[facts.to]?.mark === "bad",
      });
      // What is undone, what is past its commit point and what was bringing the service back decide which board is primary.
      const goesOn = plan.action === "go-on";
      const decides = goesOn && (plan.phase === "commit" || bringsBack(facts.kind));
      const first = plan.action === "roll-back" || decides;
      if (first) await this.#carryOn(records, plan);
      else later.push({ records, plan });
      const served = this.#stories.last?.id === facts.id && this.#stories.last.outcome === "committed";
      if (goesOn && facts.kind === "restart" && !served) inVain.add(facts.to);
    }
    await this.#serve(inVain);
    for (const { records, plan } of later) await this.#carryOn(records, plan);
    await this.settle();
  }

  /**
   * A board that is neither holder nor dormant when no story is under way is one that could not be paused: it is tried again. One that is dormant
   * where it is to be off is of an earlier configuration.
   */
  async settle(): Promise<void> {
    const { boards, service } = this.#parts;
    const { holder, draining } = await service.inspect();
    if (this.#stories.ending || holder === null) return;
    const other = boards[otherBoard(holder)];
    const { state } = await other.inspect();
    const tooLight = state === "dormant" && this.#parts.settings.dormancy === "off";
    if (state !== "running" && !tooLight) return;
    try {
      // The story that left it so could not drain it: what it had begun ends, and not in silence.
      if (draining === other.name) await this.#endFlows(other.name);
      await service.fence(other.name);
      await layToSleep(this.#parts, other, AbortSignal.timeout(settleTimeoutMs));
    } catch (error) {
      this.#stories.defect = error;
    }
  }

  async #endFlows(board: BoardName): Promise<void> {
    const { service, clock } = this.#parts;
    const options = { sinceMs: clock.now(), atOnce: true };
    await service.drain(board, options, AbortSignal.timeout(settleTimeoutMs));
  }

  async #carryOn(records: JournalRecord[], plan: RecoveryPlan): Promise<void> {
    const facts = factsOf(records);
    await this.#stories.perform(records, undefined, async (scene) => {
      await scene.record("recovered", facts.phase, { plan });
      if (plan.action === "go-on") return await runStory(scene, plan.phase);
      if (plan.action === "nothing")
        throw new TwinboardError("internal", { detail: `${facts.id} has ended` });
      const error =
        facts.error ?? (await describeError(scene, plan.phase, new TwinboardError(codeOf[plan.reason])));
      await scene.record("phase-failed", plan.phase, { error });
      return await undoStory(scene, plan.phase, error);
    });
  }

  /** After a reboot of the host, or when the host's rules were taken away: somebody serves again. */
  async serveAgain(): Promise<void> {
    await this.#serve(new Set());
  }

  /** If nobody serves, the primary boots; with good software and no tries left for the primary, or if it fails, the other board. */
  async #serve(triedInVain: ReadonlySet<BoardName>): Promise<void> {
    const { service, boards, systemFile } = this.#parts;
    const { primary, slots, triesUsed } = systemFile.state;
    const { holder } = await service.inspect();
    if (primary === null) return;
    if (holder !== null && (await boards[holder].inspect()).state === "running") return;
    if (holder !== null && (await this.#failOver(holder))) return;
    const other = otherBoard(primary);
    const candidates = slots[other]?.mark === "good" ? [primary, other] : [primary];
    const tired = (name: BoardName): number => (triesUsed[name] >= maxTries ? 1 : 0);
    // Without tries left a board is still better than none.
    const untried = candidates.filter((name) => !triedInVain.has(name));
    for (const name of untried.toSorted((one, two) => tired(one) - tired(two))) {
      await this.#restart(name);
      const now = (await service.inspect()).holder;
      if (now !== null && (await boards[now].inspect()).state === "running") return;
    }
  }

  /** The board in service died while no daemon was there to see it. Returns whether the dormant one took over. */
  async #failOver(holder: BoardName): Promise<boolean> {
    const { boards, service, systemFile, settings, clock } = this.#parts;
    const { slots } = systemFile.state;
    const to = otherBoard(holder);
    const content = slots[to]?.content;
    const linked = (await lossByMove(service, holder, to)) === null;
    const warm = linked && (await boards[to].inspect()).state === "dormant" && slots[to]?.mark === "good";
    if (!settings.failover || !warm || !content || this.#stories.ending) return false;
    const failure = { board: holder, cause: "died", detail: "it was found dead", at: clock.now() } as const;
    const fromVersion = slots[holder]?.content?.version ?? null;
    const facts = { from: holder, to, fromVersion, toVersion: content.version, content, failure };
    await this.#stories.perform([await this.#stories.begin("failover", facts)], undefined, (scene) =>
      runStory(scene, null),
    );
    return (await service.inspect()).holder === to;
  }

  async #restart(to: BoardName): Promise<void> {
    const content = this.#parts.systemFile.state.slots[to]?.content;
    if (!content || this.#stories.ending) return;
    const { version } = content;
    const facts: Partial<NotedFacts> = { to, toVersion: version, fromVersion: version, content };
    await this.#stories.perform([await this.#stories.begin("restart", facts)], undefined, (scene) =>
      runStory(scene, null),
    );
  }

  #unfinished(): JournalRecord[][] {
    const { records } = this.#parts.journal;
    return [...new Set(records.map((record) => record.story))]
      .map((story) => records.filter((record) => record.story === story))
      .filter((ofStory) => factsOf(ofStory).result === null);
  }
}
