/** The contract of a board (src/board/board.ts), held against each driver. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Board, BoardConfinement, BoardEvent } from "../../src/board/board.ts";
import { orAborted } from "../../src/system/abort.ts";
import { consoleContract } from "./board-console.ts";
import { devicesContract } from "./board-devices.ts";
import { type BoardSubject, type OnBoard, rejects } from "./board-subject.ts";

export function boardContract(
  driver: string,
  make: () => Promise<BoardSubject>,
  skip: string | false = false,
): void {
  const on: OnBoard = (name, body) => {
    void test(name, { skip, timeout: 90_000 }, async ({ signal }) => {
      await using subject = await make();
      await body(subject, signal);
    });
  };

  describe(`${driver}: the contract of a board`, { concurrency: 1 }, () => {
    on("a board that is off says so, and stays off when it is stopped", async ({ board }, signal) => {
      assert.deepEqual(await board.inspect(), { state: "off" });
      assert.equal(await board.usage(), undefined);
      for (const _ of [1, 2]) await board.setUp(signal);
      for (const _ of [1, 2]) await board.stop(signal);
      assert.deepEqual(await board.inspect(), { state: "off" });
      await rejects(board.ready(signal), "board-died");
      await rejects(board.pause(signal), "board-died");
      await rejects(board.resume(signal), "board-resume-failed");
      for (const _ of [1, 2]) await board.tearDown(signal);
      assert.deepEqual(await board.inspect(), { state: "off" });
    });

    on(
      "it boots, sleeps, wakes and ends; each of it may be repeated",
      async ({ board, software }, signal) => {
        await board.setUp(signal);
        const start = software();
        await board.start(start, signal);
        const running = await board.inspect();
        assert.equal(running.state, "running");
        assert.equal(running.instance, start.instance);
        await board.start(start, signal);
        assert.deepEqual(
          await board.inspect(),
          running,
          "the instance that runs is adopted, not started again",
        );
        await rejects(board.start(software(), signal), "board-start-failed");
        assert.deepEqual(await board.inspect(), running, "a second instance leaves the first alone");
        for (const _ of [1, 2]) assert.deepEqual(await board.ready(signal), { version: start.version });
        for (const priority of ["service", "service", "background"] as const) {
          await board.setPriority(priority);
          const { sharePercent } = await board.confinement();
          // How small a small share is, the host's kernel says.
          assert.ok(
            sharePercent === null || (priority === "service" ? sharePercent === 100 : sharePercent < 5),
          );
        }
        for (const _ of [1, 2]) await board.pause(signal);
        assert.deepEqual(await board.inspect(), { ...running, state: "dormant" });
        await board.start(start, signal);
        assert.deepEqual(await board.inspect(), { ...running, state: "dormant" }, "a start does not wake it");
        for (const _ of [1, 2]) await board.resume(signal);
        assert.deepEqual(await board.inspect(), running);
        assert.deepEqual(await board.ready(signal), { version: start.version });
        for (const _ of [1, 2]) await board.stop(signal);
        assert.deepEqual(await board.inspect(), { state: "off" });
      },
    );

    on(
      "it is placed while it is off, runs and sleeps, and is not woken for that; each of it may be repeated",
      async ({ board, software }, signal) => {
        const all = { cores: null, emulator: null };
        const first = { cores: [0], emulator: null };
        const unplaced = placed(await board.confinement());
        for (const _ of [1, 2]) await board.place(first, signal);
        const here = { cores: "0", emulator: "0", lacks: [] };
        assert.deepEqual(placed(await board.confinement()), here, "off: what it will get");
        await board.start(software(), signal);
        assert.deepEqual(placed(await board.confinement()), here);
        await board.ready(signal);
        await board.place(all, signal);
        const everywhere = placed(await board.confinement());
        await board.pause(signal);
        const asleep = await settledUsage(board, signal);
        for (const _ of [1, 2]) await board.place(first, signal);
        assert.deepEqual(placed(await board.confinement()), here);
        assert.deepEqual(
          [(await board.inspect()).state, (await usage(board)).cpuNs],
          ["dormant", asleep.cpuNs],
          "a board that is moved sleeps on",
        );
        await board.resume(signal);
        assert.deepEqual(placed(await board.confinement()), here);
        await board.place(all, signal);
        assert.deepEqual(placed(await board.confinement()), everywhere);
        await board.stop(signal);
        assert.deepEqual(placed(await board.confinement()), unplaced);
      },
    );

    on(
      "usage grows while it works, and not at all while it is dormant",
      async ({ board, software }, signal) => {
        await board.start(software(), signal);
        await board.ready(signal);
        const atReady = await usage(board);
        assert.ok(atReady.cpuNs > 0 && atReady.residentBytes > 0);
        await board.pause(signal);
        let asleep = await usage(board);
        assert.ok(asleep.cpuNs >= atReady.cpuNs);
        // It counts threads that live: one of QEMU's that was idle for long may end meanwhile, and takes its time with it. Then once more.
        for (let tries = 3; tries > 0; tries -= 1) {
          await sleep(1500, undefined, { signal });
          for (const _ of [1, 2, 3]) assert.equal((await board.inspect()).state, "dormant");
          const still = await usage(board);
          if (still.cpuNs >= asleep.cpuNs || tries === 1) {
            assert.equal(still.cpuNs, asleep.cpuNs);
            break;
          }
          asleep = still;
        }
        await board.resume(signal);
        assert.ok((await usage(board)).cpuNs > asleep.cpuNs);
      },
    );

    on(
      "laid to sleep lean it takes no more memory than before, and works when it wakes",
      async ({ restartLean, software }, signal) => {
        const board = restartLean();
        const start = software();
        await board.start(start, signal);
        await board.ready(signal);
        const running = await board.inspect();
        const before = await usage(board);
        for (const _ of [1, 2]) await board.pause(signal);
        assert.deepEqual(await board.inspect(), { ...running, state: "dormant" });
        const asleep = await usage(board);
        assert.ok(
          asleep.residentBytes <= before.residentBytes,
          `${before.residentBytes} ${asleep.residentBytes}`,
        );
        for (const _ of [1, 2]) await board.resume(signal);
        assert.deepEqual(await board.inspect(), running);
        assert.deepEqual(await board.ready(signal), { version: start.version });
        assert.equal(await board.runHook("activate", signal), "done");
      },
    );

    on(
      "the daemon is killed: the next one finds the board as it is",
      async ({ board, restart, software }, signal) => {
        const start = software({ reports: "7.1" });
        await board.start(start, signal);
        await board.ready(signal);
        const running = await board.inspect();
        await board.release();

        const second = restart();
        assert.deepEqual(await second.inspect(), running);
        await second.start(start, signal);
        assert.deepEqual(await second.ready(signal), { version: "7.1" }, "READY does not die with a daemon");
        await second.pause(signal);
        await second.release();

        const third = restart();
        const asleep = await settledUsage(third, signal);
        assert.deepEqual(await third.inspect(), { ...running, state: "dormant" });
        assert.equal((await usage(third)).cpuNs, asleep.cpuNs, "finding it costs it nothing");
        await rejects(third.start(software(), signal), "board-start-failed");
        await third.resume(signal);
        assert.deepEqual(await third.inspect(), running);
        await third.stop(signal);
        assert.deepEqual(
          await board.inspect(),
          { state: "off" },
          "also the first object looks, and does not remember",
        );
      },
    );

    on(
      "a board that is never ready is waited for until the caller has enough",
      async ({ board, software }, signal) => {
        await board.start(software({ reports: "never" }), signal);
        const enough = new Error("enough");
        const impatience = new AbortController();
        const waiting = board.ready(impatience.signal);
        impatience.abort(enough);
        await assert.rejects(waiting, enough);
        await assert.rejects(board.ready(AbortSignal.abort(enough)), enough);
        assert.equal((await board.inspect()).state, "running");
      },
    );

    for (const cause of ["panic", "shutdown", "reset"] as const) {
      on(`${cause}: it is told once, after READY, and the evidence stays`, async (subject, signal) => {
        const { board, restart, software, die } = subject;
        const events: BoardEvent[] = [];
        const death = Promise.withResolvers<BoardEvent>();
        board.subscribe((event) => {
          events.push(event);
          if (event.type === "died") death.resolve(event);
        });
        const start = software();
        await board.start(start, signal);
        await board.ready(signal);
        await die(cause);
        const told = await orAborted(death.promise, signal);
        assert.ok(told.type === "died" && told.cause === cause && told.detail !== "", JSON.stringify(told));
        const essential = events
          .map(({ type }) => type)
          .filter((type) => type === "ready" || type === "died");
        assert.deepEqual(essential, ["ready", "died"]);

        for (const seen of [board, restart()]) {
          const condition = await seen.inspect();
          assert.ok(condition.state === "dead" && condition.instance === start.instance);
          assert.ok(condition.reason !== undefined && condition.reason !== "");
          assert.ok((await seen.consoleTail(50)).length > 0);
          await rejects(seen.ready(signal), "board-died");
          await rejects(seen.pause(signal), "board-died");
          await rejects(seen.resume(signal), "board-resume-failed");
          await rejects(seen.runHook("activate", signal), "board-died");
          await seen.release();
        }
        const next = software();
        await board.start(next, signal);
        assert.equal((await board.inspect()).state, "running", "a dead board is replaced by a start");
        await board.stop(signal);
      });
    }

    on(
      "its process is killed: off, told at once, and the console stays",
      async ({ board, software, kill }, signal) => {
        await board.start(software(), signal);
        await board.ready(signal);
        const death = Promise.withResolvers<BoardEvent>();
        board.subscribe((event) => death.resolve(event));
        await kill();
        const told = await orAborted(death.promise, signal);
        assert.ok(told.type === "died" && told.cause === "exit");
        assert.deepEqual(await board.inspect(), { state: "off" });
        assert.ok((await board.consoleTail(50)).length > 0);
        assert.equal((await board.consoleTail(1)).length, 1);
      },
    );

    on("nobody is told of a stop, nor after he has unsubscribed", async ({ board, software }, signal) => {
      const events: string[] = [];
      const end = board.subscribe(({ type }) => events.push(type));
      await board.start(software(), signal);
      await board.ready(signal);
      await board.stop(signal);
      assert.deepEqual(
        events.filter((type) => type === "died"),
        [],
      );
      const before = events.length;
      end();
      await board.start(software(), signal);
      await board.ready(signal);
      await board.tearDown(signal);
      assert.equal(events.length, before);
    });

    on(
      "a board that falls silent hangs; one that sleeps, or was let go of, does not",
      async ({ board, restart, software, hang, silenceMs }, signal) => {
        const hung: string[] = [];
        const listen = (of: Board): Promise<void> =>
          new Promise((resolve) => {
            of.subscribe((event) => {
              if (event.type !== "hung") return;
              hung.push(event.detail);
              resolve();
            });
          });
        void listen(board);
        await board.start(software(), signal);
        await board.ready(signal);
        await sleep(silenceMs, undefined, { signal });
        await board.pause(signal);
        await sleep(silenceMs, undefined, { signal });
        await board.resume(signal);
        await sleep(silenceMs / 2, undefined, { signal });
        assert.deepEqual(hung, [], "neither at work nor asleep nor waking");
        await board.release();

        const second = restart();
        const told = listen(second);
        await second.ready(signal);
        await sleep(silenceMs, undefined, { signal });
        assert.deepEqual(hung, [], "the next daemon begins anew");
        await hang();
        await orAborted(told, signal);
        assert.deepEqual(
          hung.map((detail) => detail !== ""),
          [true],
        );
        assert.equal((await second.inspect()).state, "running", "what hangs is not dead");
        await second.stop(signal);
      },
    );

    consoleContract(on);
    devicesContract(on);

    on("hooks: done, failed, absent, or as long as the caller waits", async ({ board, software }, signal) => {
      await board.start(software(), signal);
      await board.ready(signal);
      for (const _ of [1, 2]) assert.equal(await board.runHook("activate", signal), "done");
      await rejects(board.runHook("deactivate", signal), "hook-failed");
      assert.equal(await board.runHook("export-state", signal), "absent");
      const enough = new Error("enough");
      await assert.rejects(board.runHook("activate", AbortSignal.abort(enough)), enough);
    });
  });
}

function placed({
  cores,
  emulator,
  lacks,
}: BoardConfinement): Omit<BoardConfinement, "sharePercent" | "memoryKills"> {
  return { cores, emulator, lacks };
}

async function usage(board: Board): Promise<{ readonly cpuNs: number; readonly residentBytes: number }> {
  const usage = await board.usage();
  assert.ok(usage !== undefined, "the board runs");
  return usage;
}

/** The usage of a dormant board once it has noticed that a daemon let go of it, which costs it a moment's work. */
async function settledUsage(board: Board, signal: AbortSignal): Promise<{ readonly cpuNs: number }> {
  for (let before = await usage(board); ; ) {
    await sleep(200, undefined, { signal });
    const after = await usage(board);
    if (after.cpuNs === before.cpuNs) return after;
    before = after;
  }
}
