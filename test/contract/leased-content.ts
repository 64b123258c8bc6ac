/** What passes through a leased service, held against each driver whose content can be listened to. */
import assert from "node:assert/strict";
import type { BoardName } from "../../src/board/board.ts";
import { type Inward, type OnLeased, setUp, until } from "./leased-subject.ts";

export function inwardContract(on: OnLeased): void {
  on("what the outside says reaches the holder alone", async (subject, signal) => {
    const { service, inward } = subject;
    assert.ok(inward !== undefined);
    const hears = hearing(inward, signal);
    await setUp(subject, signal);
    await service.settle("a", 1, signal);
    await inward.say("one");
    await hears("a", ["one"]);
    await service.settle("b", 2, signal);
    await service.fence("a");
    await inward.say("two");
    await hears("b", ["two"]);
    await service.lease("a", 3, signal);
    await service.settle("a", 3, signal);
    await service.fence("b");
    await inward.say("three");
    await hears("a", ["one", "three"]);
    assert.deepEqual(await inward.heard("b"), ["two"]);
  });

  on("what is said during a lease reaches the next holder once and in order", async (subject, signal) => {
    const { service, inward, restart } = subject;
    assert.ok(inward !== undefined);
    const hears = hearing(inward, signal);
    const { duringLease } = inward;
    const nextHears = (lines: readonly string[]): readonly string[] => (duringLease === "lost" ? [] : lines);
    const otherHears = (lines: readonly string[]): readonly string[] =>
      duringLease === "heard" ? lines : [];
    await setUp(subject, signal);
    await service.settle("a", 1, signal);
    await inward.say("before");
    await hears("a", ["before"]);
    await service.lease("b", 2, signal);
    const meanwhile = ["w1", "w2", "w3", "w4"];
    for (const line of meanwhile) await inward.say(line);
    // The daemon is never in the data path.
    const next = await restart();
    await next.settle("b", 2, signal);
    await inward.say("after");
    await hears("b", [...nextHears(meanwhile), "after"]);
    assert.deepEqual(await inward.heard("a"), ["before", ...otherHears(meanwhile)], "the old holder");

    await next.lease("a", 3, signal);
    await inward.say("w5");
    await next.settle("b", 3, signal);
    await inward.say("end");
    await hears("b", [...nextHears(meanwhile), "after", ...nextHears(["w5"]), "end"]);
    const onA = ["before", ...otherHears([...meanwhile, "w5"])];
    assert.deepEqual(await inward.heard("a"), onA, "who was to be the next, and was not");
  });

  on("what is said while nobody holds waits for the next holder, if it can", async (subject, signal) => {
    const { service, inward } = subject;
    assert.ok(inward !== undefined);
    await setUp(subject, signal);
    await inward.say("n1");
    await service.settle(null, 1, signal);
    await inward.say("n2");
    await service.lease("b", 2, signal);
    await service.settle(null, 2, signal);
    await inward.say("n3");
    await service.settle("b", 2, signal);
    await inward.say("n4");
    await hearing(inward, signal)("b", inward.duringLease === "waits" ? ["n1", "n2", "n3", "n4"] : ["n4"]);
    assert.deepEqual(await inward.heard("a"), []);
  });
}

export function outwardContract(on: OnLeased): void {
  on("the outside hears the holder alone, and its last words too", async (subject, signal) => {
    const { service, outward } = subject;
    assert.ok(outward !== undefined);
    const hears = async (lines: readonly string[]): Promise<void> => {
      await until(async () => (await outward.heard()).length >= lines.length, lines.join(" "), signal);
      assert.deepEqual(await outward.heard(), lines);
    };
    await setUp(subject, signal);
    await service.settle("a", 1, signal);
    await outward.say("b", "standby");
    await outward.say("a", "a1");
    await hears(["a1"]);
    await outward.say("a", "a2");
    await service.lease("b", 2, signal);
    await outward.say("a", "late");
    await outward.say("b", "early");
    await service.settle("b", 2, signal);
    await service.drain("a", { sinceMs: Date.now(), atOnce: true }, signal);
    await service.fence("a");
    await outward.say("a", "stale");
    await outward.say("b", "b1");
    await hears(["a1", "a2", "b1"]);
    await service.lease("a", 3, signal);
    await service.settle("a", 3, signal);
    await outward.say("a", "a3");
    await hears(["a1", "a2", "b1", "a3"]);
  });

  on("the holder's words outlast a lease that is given back", async (subject, signal) => {
    const { service, outward } = subject;
    assert.ok(outward !== undefined);
    await setUp(subject, signal);
    await service.settle("a", 1, signal);
    await outward.say("a", "a1");
    await service.lease("b", 2, signal);
    await service.settle("a", 2, signal);
    await outward.say("a", "a2");
    await until(async () => (await outward.heard()).includes("a2"), "a2", signal);
    assert.deepEqual(await outward.heard(), ["a1", "a2"]);
  });
}

/** Waits until a board has heard as many lines, and holds it to just these. */
function hearing({ heard }: Inward, signal: AbortSignal) {
  return async (board: BoardName, lines: readonly string[]): Promise<void> => {
    await until(async () => (await heard(board)).length >= lines.length, lines.join(" "), signal);
    assert.deepEqual(await heard(board), lines);
  };
}
