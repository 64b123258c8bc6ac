/** The contract of a leased service (src/service/leased.ts), held against each driver. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { boardNames, otherBoard } from "../../src/board/board.ts";
import type { LeasedService } from "../../src/service/leased.ts";
import { inwardContract, outwardContract } from "./leased-content.ts";
import {
  held,
  type LeasedSubject,
  leased,
  nobody,
  type OnLeased,
  rejectsWith,
  setUp,
  until,
} from "./leased-subject.ts";

export interface LeasedContractOptions {
  /** The reason to skip all of it. */
  readonly skip?: string | false;
  /** For one test. Default 60 s. */
  readonly timeoutMs?: number;
  /** What of the content can be listened to, or can go away: the subject has it. */
  readonly has?: readonly ("inward" | "outward" | "thing")[];
}

export function leasedContract(
  driver: string,
  make: () => Promise<LeasedSubject>,
  { skip = false, timeoutMs = 60_000, has = [] }: LeasedContractOptions = {},
): void {
  const on: OnLeased = (name, body) => {
    void test(name, { skip, timeout: timeoutMs }, async ({ signal }) => {
      await using subject = await make();
      await body(subject, signal);
    });
  };

  describe(`${driver}: the contract of a leased service`, { concurrency: 1 }, () => {
    on("nothing is present before setUp, and nothing can be taken over", async ({ service }, signal) => {
      assert.match(service.name, /^[a-z][a-z0-9-]{0,31}$/);
      assert.deepEqual(await service.inspect(), { ...nobody, present: false });
      await rejectsWith("takeover-failed", service.lease("a", 1, signal));
      await rejectsWith("takeover-failed", service.settle("a", 1, signal));
      assert.deepEqual(await service.inspect(), { ...nobody, present: false });
    });

    on(
      "after setUp and attach nobody holds; lease and settle move it, either way",
      async (subject, signal) => {
        const { service } = subject;
        await setUp(subject, signal);
        assert.deepEqual(await service.inspect(), nobody);
        await service.settle("a", 1, signal);
        assert.deepEqual(await service.inspect(), held("a", 1));
        for (const [epoch, to] of [
          [2, "b"],
          [4, "a"],
          [6, "b"],
        ] as const) {
          await service.lease(to, epoch, signal);
          assert.deepEqual(await service.inspect(), leased(to, epoch));
          await service.settle(to, epoch + 1, signal);
          assert.deepEqual(await service.inspect(), held(to, epoch + 1));
          await service.fence(otherBoard(to));
          assert.deepEqual(await service.inspect(), held(to, epoch + 1));
        }
      },
    );

    on("it is settled without a lease before it, and on nobody", async (subject, signal) => {
      const { service } = subject;
      await setUp(subject, signal);
      await service.settle("a", 1, signal);
      await service.settle("b", 2, signal);
      assert.deepEqual(await service.inspect(), held("b", 2));
      await service.settle(null, 3, signal);
      assert.deepEqual(await service.inspect(), { ...nobody, epoch: 3 });
      await service.lease("a", 3, signal);
      await service.settle(null, 3, signal);
      assert.deepEqual(await service.inspect(), { ...nobody, epoch: 3 });
    });

    on("every call may be repeated", async (subject, signal) => {
      const { service } = subject;
      for (const _ of [1, 2]) await setUp(subject, signal);
      for (const _ of [1, 2]) await service.settle("a", 1, signal);
      await setUp(subject, signal);
      assert.deepEqual(await service.inspect(), held("a", 1), "setUp and attach change no holder");
      for (const _ of [1, 2]) await service.lease("b", 2, signal);
      assert.deepEqual(await service.inspect(), leased("b", 2));
      await setUp(subject, signal);
      assert.deepEqual(await service.inspect(), leased("b", 2), "nor a lease");
      await service.lease("a", 2, signal);
      assert.deepEqual(await service.inspect(), leased("a", 2));
      for (const _ of [1, 2]) await service.settle("b", 2, signal);
      for (const _ of [1, 2]) await service.drain("a", { sinceMs: 0 }, signal);
      for (const _ of [1, 2]) await service.fence("a");
      assert.deepEqual(await service.inspect(), held("b", 2));
      for (const _ of [1, 2]) await service.tearDown(signal);
      assert.equal((await service.inspect()).present, false);
    });

    on("a lease that is given back leaves all as it was", async (subject, signal) => {
      const { service } = subject;
      await setUp(subject, signal);
      await service.settle("a", 1, signal);
      await service.lease("b", 1, signal);
      await service.settle("a", 1, signal);
      assert.deepEqual(await service.inspect(), held("a", 1));
      await service.lease("b", 2, signal);
      await service.settle("b", 2, signal);
      assert.deepEqual(await service.inspect(), held("b", 2));
    });

    on("what comes from a daemon that is dead is refused, and changes nothing", async (subject, signal) => {
      await setUp(subject, signal);
      await subject.service.settle("a", 5, signal);
      const refused = async (service: LeasedService, epoch: number): Promise<void> => {
        const before = await service.inspect();
        await rejectsWith("stale-epoch", service.lease("b", epoch, signal));
        await rejectsWith("stale-epoch", service.settle("b", epoch, signal));
        await rejectsWith("stale-epoch", service.settle(null, epoch, signal));
        assert.deepEqual(await service.inspect(), before);
      };
      await refused(subject.service, 4);
      const next = await subject.restart();
      await refused(next, 4);
      await next.lease("b", 7, signal);
      await refused(next, 6);
      assert.deepEqual(await next.inspect(), leased("b", 7), "a lease raises it as well");
      await refused(await subject.restart(), 6);
    });

    on("a restarted daemon reads what is", async (subject, signal) => {
      const { service, restart } = subject;
      const readsTheSame = async (from: LeasedService): Promise<LeasedService> => {
        const before = await from.inspect();
        const next = await restart();
        assert.deepEqual(await next.inspect(), before);
        await setUp({ service: next }, signal);
        assert.deepEqual(await next.inspect(), before);
        return next;
      };
      await setUp(subject, signal);
      let daemon = await readsTheSame(service);
      await daemon.settle("b", 1, signal);
      daemon = await readsTheSame(daemon);
      await daemon.lease("a", 2, signal);
      daemon = await readsTheSame(daemon);
      await daemon.settle("a", 3, signal);
      daemon = await readsTheSame(daemon);
      await daemon.tearDown(signal);
      assert.equal((await (await restart()).inspect()).present, false);
    });

    on("the holder is never fenced; whoever does not hold may be", async (subject, signal) => {
      const { service } = subject;
      await setUp(subject, signal);
      await service.settle("a", 1, signal);
      await rejectsWith("internal", service.fence("a"));
      await service.fence("b");
      assert.deepEqual(await service.inspect(), held("a", 1));
      await service.lease("b", 2, signal);
      for (const board of boardNames) await service.fence(board);
      assert.deepEqual(await service.inspect(), leased("b", 2));
      await service.settle("b", 2, signal);
      assert.deepEqual(await service.inspect(), held("b", 2), "a fence does not outlast being settled on");
    });

    on("a drain at once leaves nothing, and is counted once", async (subject, signal) => {
      const { service } = subject;
      await setUp(subject, signal);
      await service.settle("a", 1, signal);
      await service.settle("b", 2, signal);
      const now = { sinceMs: Date.now(), atOnce: true };
      assert.equal((await service.drain("a", now, signal)).left, 0);
      const { remarks: _, ...counts } = await service.drain("a", now, signal);
      assert.deepEqual(counts, { left: 0, finished: 0, closedEarly: 0, cut: 0 });
      assert.deepEqual(await service.inspect(), held("b", 2));
    });

    on("a call that is given up before it begins does nothing", async (subject, signal) => {
      const { service } = subject;
      await setUp(subject, signal);
      await service.settle("a", 1, signal);
      const enough = new Error("enough");
      const aborted = AbortSignal.abort(enough);
      for (const call of [
        service.lease("b", 2, aborted),
        service.settle("b", 2, aborted),
        service.drain("b", { sinceMs: 0 }, aborted),
        service.tearDown(aborted),
      ])
        await assert.rejects(call, enough);
      assert.deepEqual(await service.inspect(), held("a", 1));
    });

    on("after tearDown nothing is left; set up again it begins anew", async (subject, signal) => {
      const { service } = subject;
      await setUp(subject, signal);
      await service.settle("a", 9, signal);
      await service.lease("b", 9, signal);
      await service.tearDown(signal);
      assert.deepEqual(await service.inspect(), { ...nobody, present: false });
      await setUp(subject, signal);
      assert.deepEqual(await service.inspect(), nobody);
      await service.settle("b", 1, signal);
      assert.deepEqual(await service.inspect(), held("b", 1));
    });

    if (has.includes("inward")) inwardContract(on);
    if (has.includes("outward")) outwardContract(on);
    if (has.includes("thing")) troubleContract(on);
  });
}

/** What it is about is gone: a trouble that is told, never an error. */
function troubleContract(on: OnLeased): void {
  on("what is gone is told, and what was moved meanwhile works once it is back", async (subject, signal) => {
    const { service, thing, inward } = subject;
    assert.ok(thing !== undefined);
    await setUp(subject, signal);
    await service.settle("a", 1, signal);
    await thing.takeAway();
    await until(async () => (await service.inspect()).trouble !== null, "the trouble", signal);
    await setUp(subject, signal);
    await service.lease("b", 2, signal);
    await service.settle("b", 2, signal);
    const { trouble, ...condition } = await service.inspect();
    assert.deepEqual({ ...condition, trouble: null }, held("b", 2));
    assert.ok(trouble !== null && trouble !== "");
    await service.fence("a");
    await thing.bringBack();
    await until(async () => (await service.inspect()).trouble === null, "the end of the trouble", signal);
    assert.deepEqual(await service.inspect(), held("b", 2));
    if (inward === undefined) return;
    await inward.say("back");
    await until(async () => (await inward.heard("b")).includes("back"), "what was said since", signal);
  });

  on("what is gone from the beginning stops nothing", async (subject, signal) => {
    const { service, thing } = subject;
    assert.ok(thing !== undefined);
    await thing.takeAway();
    await setUp(subject, signal);
    await service.settle("a", 1, signal);
    assert.equal((await service.inspect()).holder, "a");
    await until(async () => (await service.inspect()).trouble !== null, "the trouble", signal);
    await thing.bringBack();
    await until(async () => (await service.inspect()).trouble === null, "the end of the trouble", signal);
    assert.deepEqual(await service.inspect(), held("a", 1));
    await thing.takeAway();
    await service.tearDown(signal);
    assert.equal((await service.inspect()).present, false);
  });
}
