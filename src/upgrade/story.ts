/**
 * THE STORY. Each row of `phases` says what a phase makes true, what undoes it, and what recovery does with it after a crash of the
 * daemon and after a reboot of the host. Every `run` is "make it so": it may find its work half done, or done, and goes on from there.
 */
import { randomUUID } from "node:crypto";
import { type BoardCondition, otherBoard } from "../board/board.ts";
import { TwinboardError } from "../errors.ts";
import { AnswerTimes } from "../health/answer-times.ts";
import { noteLacks, noteShare } from "./confinement-notes.ts";
import { beDormant, layToSleep } from "./dormancy.ts";
import { endLeftovers, fenceDrained } from "./drain.ts";
import { serveProbation } from "./probation.ts";
import type { PhaseName, StoryKind } from "./record.ts";
import type { Scene } from "./scene.ts";
import { maxTries, withSlot, withTriesUsed } from "./system-file.ts";
import { takeBack } from "./take-back.ts";
import { takeOver } from "./take-over.ts";

export interface Phase {
  readonly name: PhaseName;
  /** The stories in which it occurs. */
  readonly stories: readonly StoryKind[];
  readonly run: (scene: Scene) => Promise<void>;
  readonly undo: (scene: Scene) => Promise<void>;
  /** From which phase on the story is tried again when this one fails in a way that the next boot may not, `upgrade.attempts` times in all. */
  readonly retryFrom?: PhaseName;
  /** The story cannot be cancelled any more once it has entered this phase. */
  readonly pointOfNoReturn?: boolean;
  /** *repeat*: run it again. *repeat-while-alive*: the same, unless the board died meanwhile; then roll back. */
  readonly afterCrash: "repeat" | "repeat-while-alive";
  /** *repeat*: once the primary serves again. *roll-back*: boards and rules are gone. *forward*: it is past undoing. */
  readonly afterReboot: "repeat" | "roll-back" | "forward";
}

const nothing = (): Promise<void> => Promise.resolve();
const all: readonly StoryKind[] = ["upgrade", "rollback", "restart", "failover", "standby"];
const moving: readonly StoryKind[] = ["upgrade", "rollback", "restart", "failover"];

export const phases: readonly Phase[] = [
  {
    name: "deliver",
    stories: ["upgrade"],
    run: deliver,
    undo: (scene) => scene.parts.delivery.forget(),
    afterCrash: "repeat",
    afterReboot: "repeat",
  },
  {
    name: "vacate",
    stories: ["upgrade"],
    run: vacate,
    undo: nothing,
    afterCrash: "repeat",
    afterReboot: "repeat",
  },
  {
    name: "install",
    stories: ["upgrade"],
    run: install,
    undo: condemn,
    afterCrash: "repeat",
    afterReboot: "repeat",
  },
  {
    name: "boot",
    stories: all,
    run: boot,
    undo: putAway,
    // A boot may fail for once, as a reset in the field would; software that is bad fails again.
    retryFrom: "boot",
    afterCrash: "repeat",
    afterReboot: "roll-back",
  },
  {
    name: "verify",
    stories: all,
    run: verify,
    undo: nothing,
    retryFrom: "boot",
    afterCrash: "repeat-while-alive",
    afterReboot: "roll-back",
  },
  {
    // The kernel says who holds: if it is the new board, `run` finishes; if not, what was leased is given back and it begins again.
    name: "takeover",
    stories: moving,
    run: takeOver,
    undo: takeBack,
    afterCrash: "repeat-while-alive",
    afterReboot: "roll-back",
  },
  {
    name: "probation",
    stories: ["upgrade", "rollback", "failover"],
    run: serveProbation,
    // Undone by the takeover's row.
    undo: nothing,
    afterCrash: "repeat-while-alive",
    afterReboot: "roll-back",
  },
  {
    name: "commit",
    stories: all,
    run: commit,
    // Nothing: it fails before `system.json` is replaced, or not at all.
    undo: nothing,
    pointOfNoReturn: true,
    // Once `system.json` names the new board, whatever becomes of it: forward.
    afterCrash: "repeat-while-alive",
    afterReboot: "forward",
  },
];

/** The bundle is signed, for this system, not too old, and fits the slot, which is not the holder's. */
async function deliver(scene: Scene): Promise<void> {
  const { facts, parts, signal } = scene;
  const { state } = parts.systemFile;
  const source =
    scene.source ??
    (facts.sourcePath === null ? undefined : { kind: "path" as const, path: facts.sourcePath });
  if (source === undefined) {
    throw new TwinboardError("bundle-unreadable", {
      detail: "the stream ended with the daemon that received it",
    });
  }
  const bundle = await parts.delivery.deliver(
    source,
    {
      compatible: parts.settings.compatible,
      floor: state.floor,
      failedVersions: state.failedVersions,
      force: facts.force,
    },
    (progress) => scene.progress({ awaiting: "the bundle", ...progress }),
    signal,
  );
  const { kind, images } = await parts.slots[facts.to].accept(bundle);
  await scene.note({
    bundle: {
      path: bundle.path,
      digest: bundle.digest,
      signer: bundle.signer.subject,
      images: images.map(({ class: label, sizeBytes }) => ({ class: label, sizeBytes })),
    },
    toKind: kind,
    toVersion: bundle.manifest.version,
  });
}

/** The dormant board is stopped: its slot is about to be written, and with that the warm way back is given up. */
async function vacate(scene: Scene): Promise<void> {
  const { parts, facts, signal } = scene;
  await refuseHolder(scene);
  await fenceDrained(scene, facts.to, facts.startedAt);
  await parts.boards[facts.to].stop(signal);
}

async function holds({ parts, facts }: Scene): Promise<boolean> {
  return (await parts.service.inspect()).holder === facts.to;
}

async function refuseHolder(scene: Scene): Promise<void> {
  if (await holds(scene))
    throw new TwinboardError("internal", { detail: `slot ${scene.facts.to} is the holder's` });
}

/** The slot is marked bad before its first byte is written, and unknown once what was written has been read back. */
async function install(scene: Scene): Promise<void> {
  const { parts, facts, signal } = scene;
  if (facts.bundle === null) throw new TwinboardError("internal", { detail: "no bundle was delivered" });
  const bundle = await parts.delivery.reopen(facts.bundle.path, facts.bundle.digest, signal);
  // Asked again: after a reboot of the host in `install` it may be the board that came back into service.
  await refuseHolder(scene);
  await markBad(scene);
  const content = await parts.slots[facts.to].install(
    bundle,
    (progress) => scene.progress({ awaiting: `slot ${facts.to}`, ...progress }),
    signal,
  );
  await parts.systemFile.update((state) => withSlot(state, facts.to, { mark: "unknown", content }));
  await scene.note({ content });
}

/** What was installed is not to be booted. What holds was not touched: `install` refuses it. */
async function condemn(scene: Scene): Promise<void> {
  if (!(await holds(scene))) await markBad(scene);
}

/** After a take-back that could not be done the primary is not the holder: it must be, before the primary's slot is gone. */
async function markBad({ parts, facts }: Scene): Promise<void> {
  await parts.systemFile.update((state) => ({
    ...withSlot(state, facts.to, { mark: "bad", content: null }),
    primary: state.primary === facts.to ? facts.from : state.primary,
  }));
}

/** The new board runs, fenced, and the one that serves does not feel it. A dormant board is woken instead of booted. */
async function boot(scene: Scene): Promise<void> {
  const { parts, facts, signal } = scene;
  const board = parts.boards[facts.to];
  const { content } = facts;
  if (content === null) throw new TwinboardError("internal", { detail: `slot ${facts.to} is empty` });
  if (parts.systemFile.state.slots[facts.to]?.mark === "bad")
    throw new TwinboardError("board-start-failed", { detail: `slot ${facts.to} is bad` });
  const condition = await board.inspect();
  if ((facts.kind === "rollback" || facts.kind === "failover") && condition.state === "dormant") {
    await scene.note({ instance: condition.instance, woken: true });
    // Waking takes milliseconds of processor time, but seconds in an idle class that the other board leaves nothing.
    await board.setPriority("service");
    await board.resume(signal);
    return;
  }
  // The daemon before us was killed, the board in service died, and a failover did meanwhile what was asked for.
  if (facts.kind === "rollback" && condition.state === "running" && (await holds(scene)))
    return await scene.note({ instance: condition.instance });
  await endLeftovers(scene, facts.to);
  const instance = await instanceToStart(scene, condition);
  // With nothing left of what ran before, its cards may become another kind's; then they are joined to the service.
  await board.setUp(signal, content.kind);
  await parts.service.attach(facts.to, signal);
  if (facts.kind === "restart") await takeTry(scene);
  const { version, kind, images, kernelArguments } = content;
  scene.progress({ awaiting: `board ${facts.to}` });
  // While nobody serves there is nobody whom it could disturb.
  const priority = facts.from === null ? "service" : "background";
  const start = { instance, version, kind, images, kernelArguments, priority } as const;
  await scene.within(parts.settings.bootTimeoutMs, "board-start-failed", (within) =>
    board.start(start, within),
  );
  await board.setPriority(priority);
}

/** If the host loses power over and over, or this board takes it down, the other board's turn comes. A full disk stops no boot. */
async function takeTry({ parts, facts }: Scene): Promise<void> {
  const { systemFile, onTrouble } = parts;
  const tries = Math.min(systemFile.state.triesUsed[facts.to] + 1, maxTries);
  await systemFile.update((state) => withTriesUsed(state, facts.to, tries)).catch(onTrouble);
}

/** The instance that is to run, noted before it is started: the story's own, one that is adopted, or a new one. */
async function instanceToStart(scene: Scene, found: BoardCondition): Promise<string> {
  const { parts, facts, signal } = scene;
  if (found.state !== "off" && found.instance === facts.instance) {
    if (found.state !== "dead") return found.instance;
    throw new TwinboardError("board-died", {
      detail: `board ${facts.to}: ${found.reason ?? "it does no more work"}`,
    });
  }
  // A primary that runs all the same (the host's rules were flushed, and it lost the service) only needs to be given the service.
  const adopted = facts.kind === "restart" && facts.failure === null && found.state === "running";
  // Whatever else runs here is a leftover, and there must never be a second. What was noted and is gone gets no second life either.
  if (!adopted) await parts.boards[facts.to].stop(signal);
  const instance = adopted ? found.instance : randomUUID();
  await scene.note({ instance });
  return instance;
}

/** What `boot` began is ended; what it woke is dormant again. */
async function putAway(scene: Scene): Promise<void> {
  const { parts, facts, signal } = scene;
  const board = parts.boards[facts.to];
  // A primary that was to come back may hold, dead as it is.
  if (!(await holds(scene))) await parts.service.fence(facts.to);
  const { state } = await board.inspect();
  if (facts.woken && (state === "running" || state === "dormant")) await layToSleep(parts, board, signal);
  else await board.stop(signal);
}

/** The board is ready with the right version, and every health check passes. */
async function verify(scene: Scene): Promise<void> {
  const { facts } = scene;
  // Nobody serves, and this board was verified before it went dormant: it is asked again when it serves.
  if (facts.kind === "failover" && facts.woken && facts.failure?.cause !== "unhealthy") return;
  try {
    await awaitReadyAndHealthy(scene);
  } finally {
    // Also of a board that failed, whose host it may have been.
    await noteLacks(scene);
    await noteShare(scene);
  }
}

/**
 * Waits until the board that runs says READY with its software's version, then until a round of health checks passes. How they were answered
 * and what the kernel killed of it is noted, whatever comes of it. Repeatable. Errors: `board-not-ready`, `board-wrong-version`,
 * `board-unhealthy`, `board-died`; those of the disk; the signal's reason.
 */
async function awaitReadyAndHealthy(scene: Scene): Promise<void> {
  const { parts, facts } = scene;
  const board = parts.boards[facts.to];
  const { bootTimeoutMs, verifyTimeoutMs } = parts.settings;
  await scene.whileAlive(facts.to, async (alive) => {
    scene.progress({ awaiting: `READY of board ${facts.to}` });
    const { version } = await alive.within(bootTimeoutMs, "board-not-ready", (signal) => board.ready(signal));
    if (version !== facts.toVersion) {
      throw new TwinboardError("board-wrong-version", {
        detail: `board ${facts.to} reports ${version}, its software is ${facts.toVersion ?? "unknown"}`,
      });
    }
    scene.progress({ awaiting: `health of board ${facts.to}` });
    const answers = new AnswerTimes(parts.clock);
    try {
      await alive.within(verifyTimeoutMs, "board-unhealthy", (signal) =>
        parts.health.verify(board, signal, answers.add),
      );
    } catch (error) {
      await serveUnhealthy(scene, error);
    } finally {
      await scene.noteAnswers(answers);
      await scene.noteMemoryKills();
    }
  });
}

/** After a reboot nobody else serves: a board that is ready but not healthy is better than none, and the story ends *stuck* and says so. */
async function serveUnhealthy(scene: Scene, error: unknown): Promise<void> {
  const unhealthy = error instanceof TwinboardError && error.code === "board-unhealthy";
  if (scene.facts.kind !== "restart" || !unhealthy) throw error;
  await scene.note({ servesUnhealthy: error.detail ?? error.message });
}

/** `system.json` names the new primary: that replacement is the commit. Then the old board goes dormant. */
async function commit(scene: Scene): Promise<void> {
  const { parts, facts, signal } = scene;
  if (facts.kind === "standby") return await beDormant(parts, parts.boards[facts.to], signal);
  const { to, content, toVersion } = facts;
  if (content === null || toVersion === null)
    throw new TwinboardError("internal", { detail: "nothing to commit" });
  const { holder } = await parts.service.inspect();
  if (holder !== null && holder !== to)
    throw new TwinboardError("takeover-failed", { detail: `board ${holder} holds, not board ${to}` });
  await parts.systemFile.update((state) => ({
    // A board that only came back after a reboot has proved nothing new: its slot keeps its mark.
    ...(facts.kind === "restart" ? state : withSlot(state, to, { mark: "good", content })),
    triesUsed: { ...state.triesUsed, [to]: 0 },
    primary: to,
    floor: facts.kind === "upgrade" ? parts.highestVersion(state.floor, toVersion) : state.floor,
    failedVersions: state.failedVersions.filter((version) => version !== toVersion),
  }));
  // A restart may have come between: the bundle then belongs to the upgrade that goes on after it.
  if (facts.kind === "upgrade") await parts.delivery.forget();
  const old = parts.boards[otherBoard(to)];
  await fenceDrained(scene, old.name, facts.takeoverAt ?? facts.startedAt);
  if (facts.from === null) return;
  const { state } = await old.inspect();
  // What failed is not kept for a rollback: it boots afresh, and its console stays. A cut wire is not the board's fault.
  if (facts.kind === "failover" && facts.failure?.cause !== "unlinked") await old.stop(signal);
  else if (state === "running" || state === "dormant") await layToSleep(parts, old, signal);
}
