/** Taking up what an earlier daemon, or the host's last boot, left: stories are ended or gone on with, and somebody serves again. */
import { type BoardName, otherBoard } from "../board/board.ts";
import { type ErrorCode, TwinboardError } from "../errors.ts";
import { layToSleep } from "./dormancy.ts";
import { factsOf, type NotedFacts, type StoryFacts } from "./facts.ts";
import type { JournalRecord } from "./record.ts";
import { planRecovery, type RecoveryPlan } from "./recovery.ts";
import { describeError, rowsOf, runStory, undoStory } from "./runner.ts";
import type { Parts } from "./scene.ts";
import type { Stories } from "./stories.ts";

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
    for (const records of this.#unfinished()) {
      const facts = factsOf(records);
      const plan = planRecovery(facts, rowsOf(facts), {
        rebooted: facts.boot !== boot,
        newBoard: await boards[facts.to].inspect(),
        committed: systemFile.state.primary === facts.to,
        slotIsBad: systemFile.state.slots[facts.to]?.mark === "bad",
      });
      // What is undone, and what is past its commit point, decides which board is primary.
      const first = plan.action === "roll-back" || (plan.action === "go-on" && plan.phase === "commit");
      if (first) await this.#carryOn(records, plan);
      else later.push({ records, plan });
    }
    await this.#restartIfNobodyServes(later.map(({ records }) => factsOf(records)));
    for (const { records, plan } of later) await this.#carryOn(records, plan);
    await this.#settle();
  }

  /** A board that is neither holder nor dormant when no story is under way is one that could not be paused: it is tried again. */
  async #settle(): Promise<void> {
    const { boards, service } = this.#parts;
    const { holder } = await service.inspect();
    if (this.#stories.ending || holder === null) return;
    const other = boards[otherBoard(holder)];
    if ((await other.inspect()).state !== "running") return;
    try {
      await service.fence(other.name);
      await layToSleep(this.#parts, other, AbortSignal.timeout(settleTimeoutMs));
    } catch (error) {
      this.#stories.defect = error;
    }
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

  /** Boots the primary after a reboot of the host, or if it died while no daemon was there to see it. */
  async #restartIfNobodyServes(unfinished: readonly StoryFacts[]): Promise<void> {
    const { service, boards, systemFile } = this.#parts;
    const { primary, slots } = systemFile.state;
    const { holder } = await service.inspect();
    if (primary === null) return;
    if (holder !== null && (await boards[holder].inspect()).state === "running") return;
    // A restart that was interrupted goes on.
    if (unfinished.some((facts) => facts.kind === "restart" && facts.to === primary)) return;
    await this.#restart(primary);
    // Nobody serves yet: then good software on the other board does, and is the primary from its commit on.
    const other = otherBoard(primary);
    const nobody = (await service.inspect()).holder === null;
    if (nobody && slots[other]?.mark === "good") await this.#restart(other);
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
