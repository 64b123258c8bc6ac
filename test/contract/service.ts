/** The contract of the service (src/service/service.ts), held against each driver. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type BoardName, boardNames, otherBoard } from "../../src/board/board.ts";
import type { ErrorCode } from "../../src/errors.ts";
import type { Service } from "../../src/service/service.ts";

export interface ServiceSubject extends AsyncDisposable {
  readonly service: Service;
  /** The daemon was killed; another one, over the same kernel. */
  readonly restart: () => Promise<Service>;
  /** Of a driver that moves new flows alone. */
  readonly flows?: {
    /** Begins one that ends only when it is cut. */
    begin(): Promise<void>;
    /** Those begun that a board still has. */
    on(board: BoardName): Promise<number>;
  };
  /** Of a driver whose boards have a wire each: cuts one, or joins it again. */
  readonly wire?: (board: BoardName, state: "cut" | "whole") => Promise<void>;
}

/**
 * @param moves by a takeover: `new flows`, those that exist stay where they are; `everything` at once, flow or not.
 * @param wires whether each board has a wire of its own.
 */
export function serviceContract(
  driver: string,
  make: () => Promise<ServiceSubject>,
  skip: string | false = false,
  moves: "new flows" | "everything" = "new flows",
  wires: "shared" | "own" = "shared",
): void {
  const on = (name: string, body: (subject: ServiceSubject, signal: AbortSignal) => Promise<void>): void => {
    void test(name, { skip, timeout: 60_000 }, async ({ signal }) => {
      await using subject = await make();
      await body(subject, signal);
    });
  };

  describe(`${driver}: the contract of the service`, () => {
    on(
      "nothing is present before setUp, and raising the epoch of nothing is no error",
      async ({ service }) => {
        assert.equal((await service.inspect()).present, false);
        await service.raiseEpoch();
        const { present, holder, draining } = await service.inspect();
        assert.deepEqual({ present, holder, draining }, { present: false, holder: null, draining: null });
      },
    );

    on(
      "after setUp nobody holds; the first hand-over needs no previous holder",
      async ({ service }, signal) => {
        await service.setUp(signal);
        const { present, holder, draining } = await service.inspect();
        assert.deepEqual({ present, holder, draining }, { present: true, holder: null, draining: null });
        await service.prepare("a", signal);
        const { ms } = await service.handOver("a", signal);
        assert.ok(ms >= 0);
        await expectCondition(service, "a", null);
      },
    );

    on(
      "a hand-over moves the holder, and the previous one drains; either way",
      async ({ service }, signal) => {
        await service.setUp(signal);
        await service.handOver("a", signal);
        for (const to of ["b", "a", "b"] as const) {
          const { epoch } = await service.inspect();
          await service.prepare(to, signal);
          await service.handOver(to, signal);
          await expectCondition(service, to, otherBoard(to));
          assert.ok((await service.inspect()).epoch > epoch);
        }
      },
    );

    on("every call may be repeated", async ({ service }, signal) => {
      for (const _ of [1, 2]) await service.setUp(signal);
      for (const _ of [1, 2]) for (const board of boardNames) await service.attach(board, signal);
      for (const _ of [1, 2]) await service.prepare("a", signal);
      for (const _ of [1, 2]) await service.handOver("a", signal);
      await service.handOver("b", signal);
      const { epoch } = await service.inspect();
      await service.handOver("b", signal);
      await service.setUp(signal);
      await expectCondition(service, "b", "a");
      assert.equal((await service.inspect()).epoch, epoch, "what is so already is not done again");
      for (const _ of [1, 2]) await service.release(signal);
      for (const _ of [1, 2]) await service.drain("a", { sinceMs: 0 }, signal);
      for (const _ of [1, 2]) await service.fence("a");
      await expectCondition(service, "b", null);
      for (const _ of [1, 2]) await service.tearDown(signal);
      assert.equal((await service.inspect()).present, false);
    });

    on("release after prepare leaves everything as it was", async ({ service }, signal) => {
      await service.setUp(signal);
      await service.handOver("a", signal);
      await service.prepare("b", signal);
      await service.release(signal);
      await expectCondition(service, "a", null);
      await service.handOver("b", signal);
      await expectCondition(service, "b", "a");
    });

    on("what was prepared before the epoch was raised fails whole", async ({ service, restart }, signal) => {
      await service.setUp(signal);
      await service.handOver("a", signal);
      await service.prepare("b", signal);
      const before = await service.inspect();
      const raised = await service.raiseEpoch();
      assert.ok(raised > before.epoch);
      await rejectsWith("stale-epoch", service.handOver("b", signal));
      await expectCondition(service, "a", null);
      const next = await restart();
      assert.equal((await next.inspect()).epoch, raised);
      await next.handOver("b", signal);
      await expectCondition(next, "b", "a");
    });

    on("a restarted daemon reads what the kernel holds", async ({ service, restart }, signal) => {
      await service.setUp(signal);
      await service.handOver("b", signal);
      await service.handOver("a", signal);
      const before = await service.inspect();
      const next = await restart();
      assert.deepEqual(await next.inspect(), before);
      await next.setUp(signal);
      assert.deepEqual(await next.inspect(), before);
    });

    on("the holder is never fenced and never drained", async ({ service }, signal) => {
      await service.setUp(signal);
      await service.handOver("a", signal);
      await rejectsWith("internal", service.fence("a"));
      await rejectsWith("internal", service.drain("a", { sinceMs: 0 }, signal));
      await expectCondition(service, "a", null);
      await service.fence("b");
      await expectCondition(service, "a", null);
    });

    on("without setUp there is no hand-over", async ({ service }, signal) => {
      await rejectsWith("takeover-failed", service.handOver("a", signal));
    });

    if (moves === "new flows")
      on(
        "flows stay with the old board; drained at once they are cut, and counted",
        async (subject, signal) => {
          const { service, flows } = subject;
          assert.ok(flows);
          await service.setUp(signal);
          await service.handOver("a", signal);
          for (let count = 0; count < 3; count += 1) await flows.begin();
          assert.equal(await flows.on("a"), 3);
          await service.handOver("b", signal);
          await flows.begin();
          assert.equal(await flows.on("a"), 3);
          assert.equal(await flows.on("b"), 1);

          const seen: number[] = [];
          const onProgress = ({ left }: { left: number }): void => void seen.push(left);
          const { cut } = await service.drain("a", { sinceMs: Date.now(), atOnce: true, onProgress }, signal);
          assert.equal(cut, 3);
          assert.equal(seen[0], 3);
          assert.equal(await flows.on("a"), 0);
          assert.equal(await flows.on("b"), 1, "the holder's flows are not touched");
          await expectCondition(service, "b", "a");
          await service.fence("a");
          await expectCondition(service, "b", null);
        },
      );

    on("a drain that is given up ends, and goes on when it is asked for again", async (subject, signal) => {
      await subject.service.setUp(signal);
      await subject.service.handOver("a", signal);
      await subject.flows?.begin();
      await subject.service.handOver("b", signal);
      const controller = new AbortController();
      const drained = subject.service.drain(
        "a",
        { sinceMs: Date.now(), onProgress: () => controller.abort(new Error("given up")) },
        controller.signal,
      );
      await assert.rejects(drained, /given up/);
      await expectCondition(subject.service, "b", "a");
      const begun = subject.flows === undefined ? 0 : 1;
      assert.equal((await subject.flows?.on("a")) ?? 0, begun);
      const next = await subject.restart();
      const { cut } = await next.drain("a", { sinceMs: Date.now(), atOnce: true }, signal);
      assert.equal(cut, begun);
      assert.equal((await subject.flows?.on("a")) ?? 0, 0);
    });

    if (wires === "own") {
      on(
        "a board whose wire is cut is told, and prepared only where there is no better; it may hold all the same",
        async ({ service, wire }, signal) => {
          assert.ok(wire !== undefined);
          await service.setUp(signal);
          await service.handOver("a", signal);
          assert.equal(await service.wireObstacle("b"), null);
          const told: (string | null)[] = [];
          const end = service.watchWire("b", (obstacle) => told.push(obstacle));
          await wire("b", "cut");
          await until(async () => told.length === 1 && (await service.wireObstacle("b")) !== null);
          assert.equal(told[0], await service.wireObstacle("b"));
          assert.equal(await service.wireObstacle("a"), null);
          await rejectsWith("board-unlinked", service.prepare("b", signal));
          await expectCondition(service, "a", null);
          await service.prepare("b", signal, { partly: true });
          await service.handOver("b", signal);
          // One that holds already is not refused what it has.
          await service.prepare("b", signal);
          await expectCondition(service, "b", "a");
          await wire("b", "whole");
          await until(async () => told.length === 2 && (await service.wireObstacle("b")) === null);
          assert.equal(told[1], null);
          end();
          await service.prepare("a", signal);
          await service.handOver("a", signal);
          await service.prepare("b", signal);
        },
      );

      on(
        "of a wire that is cut already the watch tells when it begins",
        async ({ service, wire }, signal) => {
          assert.ok(wire !== undefined);
          await service.setUp(signal);
          await wire("a", "cut");
          await until(async () => (await service.wireObstacle("a")) !== null);
          const told: (string | null)[] = [];
          service.watchWire("a", (obstacle) => told.push(obstacle));
          await until(() => Promise.resolve(told.length === 1));
        },
      );
    }

    on(
      "nothing is in trouble where nothing is wrong, and mending that changes nothing",
      async ({ service }, signal) => {
        await service.setUp(signal);
        await service.handOver("b", signal);
        const before = await service.inspect();
        assert.deepEqual(await service.troubles(), []);
        for (const _ of [1, 2]) await service.mend(signal);
        assert.deepEqual(await service.inspect(), before);
      },
    );
  });
}

async function until(right: () => Promise<boolean>): Promise<void> {
  for (const deadline = performance.now() + 10_000; !(await right()); await sleep(5))
    assert.ok(performance.now() < deadline, "in 10 s it does not come to that");
}

async function expectCondition(
  service: Service,
  holder: BoardName | null,
  draining: BoardName | null,
): Promise<void> {
  const condition = await service.inspect();
  assert.deepEqual({ holder: condition.holder, draining: condition.draining }, { holder, draining });
}

async function rejectsWith(code: ErrorCode, work: Promise<unknown>): Promise<void> {
  await assert.rejects(work, (error: Error & { code?: string }) => {
    assert.equal(error.code, code, error.message);
    return true;
  });
}
