/** The clock of a board that is a real machine, set by whatever the board has for it; under emulation. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { QemuBoard } from "../../src/board/qemu/qemu-board.ts";
import { orAborted } from "../../src/system/abort.ts";
import { ConsoleShell } from "../fixtures/board/console-shell.ts";
import { whyNoMachines } from "../fixtures/board/host.ts";
import { makeQemuSubject, type QemuSubject } from "../fixtures/board/qemu-subject.ts";

const skip = await whyNoMachines();

function on(name: string, body: (subject: QemuSubject, signal: AbortSignal) => Promise<void>): void {
  void test(name, { skip, timeout: 90_000 }, async ({ signal }) => {
    await using subject = await makeQemuSubject();
    // As the story does it: in an idle class a board would wait for its turn.
    const software: QemuSubject["software"] = (faults) => ({
      ...subject.software(faults),
      priority: "service",
    });
    await body({ ...subject, software }, signal);
  });
}

describe("the clock of a QEMU machine", { concurrency: 1 }, () => {
  on(
    "a clock that stood still is right when the board wakes, and known to be within 10 ms",
    async ({ board, software }, signal) => {
      await board.start(software(), signal);
      await board.ready(signal);
      for (;;) {
        await board.pause(signal);
        await sleep(3200, undefined, { signal });
        await board.resume(signal);
        assert.ok(board.clock?.by === "program", JSON.stringify(board.clock));
        // On a host that is too busy it is told that it was too busy, and then it is not known to be.
        if (board.clock.boundMs <= 10) break;
      }
      assert.ok(await clockIsRight(board, 0.01, signal));
    },
  );

  on("daemons come and go, the clock's program stays", async ({ board, restart, software }, signal) => {
    await board.start({ ...software(), priority: "service" }, signal);
    await board.ready(signal);
    await board.release();
    const second = restart();
    await second.pause(signal);
    await second.release();
    const third = restart();
    for (const _ of [1, 2]) {
      await third.resume(signal);
      assert.equal(third.clock?.by, "program");
      await third.pause(signal);
    }
  });

  on(
    "a clock program that has gone is not waited for, and one that comes back late does no lasting harm",
    async ({ board, software }, signal) => {
      await board.start(software(), signal);
      await board.ready(signal);
      const shell = await ConsoleShell.open(board, signal);
      await shell.run("killall twinboard-clock");
      await board.pause(signal);
      await sleep(1200, undefined, { signal });
      await board.resume(signal);
      assert.equal(board.clock?.by, "kit");
      while (!(await clockIsRight(board, 0.1, signal))) await sleep(100, undefined, { signal });
      // What the host told when it woke is what the new program finds first.
      const again = await ConsoleShell.open(board, signal);
      const port = "$(grep -l org.twinboard.clock /sys/class/virtio-ports/*/name | cut -d / -f 5)";
      await again.run(`twinboard-clock /dev/${port} & sleep 1`);
      while (!(await clockIsRight(board, 0.1, signal))) await sleep(100, undefined, { signal });
    },
  );

  for (const [clock, what] of [
    ["none", "without the clock's program"],
    ["refused", "whose clock program may not set it"],
    ["deaf", "whose clock program does not answer"],
  ] as const) {
    on(`a board ${what} has its clock set by the kit's shell`, async ({ board, software }, signal) => {
      const start = software();
      const kernelArguments = `${start.kernelArguments} test.clock=${clock}`;
      await board.start({ ...start, kernelArguments, priority: "service" }, signal);
      await board.ready(signal);
      await board.pause(signal);
      await sleep(1200, undefined, { signal });
      await board.resume(signal);
      assert.equal(board.clock?.by, "kit");
      // It knows whole seconds only: less than one behind at once, exact from the next one on.
      while (!(await clockIsRight(board, 0.1, signal))) await sleep(100, undefined, { signal });
    });
  }

  on(
    "where a guest agent listens and no clock program, it is the one that sets the clock",
    async ({ board, software }, signal) => {
      const start = software();
      const kernelArguments = `${start.kernelArguments} test.agent=yes test.clock=none`;
      await board.start({ ...start, kernelArguments, priority: "service" }, signal);
      await board.ready(signal);
      const told = Promise.withResolvers<string>();
      board.subscribe((event) => {
        if (event.type === "status") told.resolve(event.text);
      });
      await board.pause(signal);
      const before = Date.now();
      await board.resume(signal);
      assert.equal(board.clock?.by, "agent");
      const ms = Number((await orAborted(told.promise, signal)).replace("agent ", "")) / 1e6;
      // What it is told counts the way, which it has not come yet.
      assert.ok(ms >= before && ms <= Date.now() + 500);
    },
  );
});

/** Whether the guest read its clock between two readings of the host's, within the tolerance in seconds: load cannot blur that. */
async function clockIsRight(board: QemuBoard, tolerance: number, signal: AbortSignal): Promise<boolean> {
  const told = Promise.withResolvers<number>();
  const end = board.subscribe((event) => {
    if (event.type === "status") told.resolve(Number(event.text.replace("clock ", "")));
  });
  const before = Date.now() / 1000;
  await board.runHook("activate", signal);
  end();
  const guest = await orAborted(told.promise, signal);
  return guest >= before - tolerance && guest <= Date.now() / 1000 + tolerance;
}
