/** Boards that do not let go, and devices that are elsewhere than they should be; boards are simulated, the disk is a loop device. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { constants, open } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { makeLoopDisk, whyNoLoopDevices } from "../../../test/fixtures/device/loop-disk.ts";
import { type BoardName, boardNames } from "../../board/board.ts";
import { SimulatedBoard } from "../../board/simulated.ts";
import { SimulatedWorld } from "../../board/simulated-world.ts";
import { systemNames } from "../../system/names.ts";
import { DeviceService } from "./device.ts";

const skip = await whyNoLoopDevices();
const signal = AbortSignal.timeout(50_000);

interface Bench {
  readonly service: DeviceService;
  /** Another daemon. */
  readonly restart: () => DeviceService;
  readonly world: SimulatedWorld;
  readonly boards: Readonly<Record<BoardName, SimulatedBoard>>;
  readonly boot: (board: BoardName) => Promise<void>;
  readonly disk: string;
}

function on(name: string, body: (bench: Bench) => Promise<void>): void {
  void test(name, { skip }, async () => {
    await using disk = await makeLoopDisk(1024 * 1024);
    const world = new SimulatedWorld();
    const boards = { a: new SimulatedBoard("a", world), b: new SimulatedBoard("b", world) };
    const names = systemNames(`test-${randomUUID().slice(0, 8)}`, join(disk.directory, "run"));
    const restart = (): DeviceService =>
      new DeviceService({
        name: "disk",
        names,
        device: { kind: "disk", path: disk.path },
        boards,
        gid: 65_534,
        timeoutMs: 500,
      });
    const boot = async (board: BoardName): Promise<void> => {
      const start = { instance: randomUUID(), version: "1", images: {}, kernelArguments: "" };
      await boards[board].start(start, signal);
    };
    for (const board of boardNames) await boot(board);
    const service = restart();
    await service.setUp(signal);
    try {
      await body({ service, restart, world, boards, boot, disk: disk.path });
    } finally {
      world.hanging.clear();
      world.failing.clear();
      await restart().tearDown(signal);
    }
  });
}

on("a holder that does not let go keeps it, and the takeover fails", async (bench) => {
  const { service, world, boards } = bench;
  await service.settle("a", 1, signal);
  world.hanging.add("a.unplug");
  await assert.rejects(service.lease("b", 2, signal), {
    code: "takeover-failed",
    message: /board a did not let go of \/dev\/loop\d+ within 500 ms/,
  });
  const { holder, leasedTo, trouble } = await service.inspect();
  assert.deepEqual({ holder, leasedTo, trouble }, { holder: "a", leasedTo: null, trouble: null });
  assert.deepEqual(await boards.a.plugged(), ["disk"]);
  // It lets go after all, when nobody wants it any more.
  world.hanging.clear();
  await boards.a.unplug("disk", signal);
  assert.equal((await service.inspect()).trouble, null);
  assert.deepEqual(await boards.a.plugged(), ["disk"], "and is given it again");
});

on("a holder that hangs is not asked, but ended", async ({ service, world, boards, boot }) => {
  await service.settle("a", 1, signal);
  world.hang("a");
  world.hanging.add("a.unplug");
  await service.lease("b", 2, signal);
  await service.settle("b", 2, signal);
  assert.equal((await boards.a.inspect()).state, "off");
  assert.deepEqual(await boards.b.plugged(), ["disk"]);
  const { remarks } = await service.drain("a", { sinceMs: 0 }, signal);
  assert.deepEqual(remarks, ["disk: board a hung, could not let go of it and was ended"]);
  assert.deepEqual((await service.drain("a", { sinceMs: 0 }, signal)).remarks, []);
  // What is started afterwards is another run of it.
  world.hanging.clear();
  await boot("a");
  await boards.a.ready(signal);
  await service.settle("a", 3, signal);
  await service.settle("b", 4, signal);
  assert.equal((await boards.a.inspect()).state, "running");
});

on("a holder that is dead, asleep or gone is not asked", async ({ service, world, boards, boot }) => {
  for (const [epoch, end] of [
    [1, () => Promise.resolve(world.die("a"))],
    [3, () => boards.a.pause(signal)],
    [5, () => Promise.resolve(world.kill("a"))],
  ] as const) {
    await service.settle("a", epoch, signal);
    await end();
    world.failing.add("a.unplug");
    await service.lease("b", epoch + 1, signal);
    await service.settle("b", epoch + 1, signal);
    world.failing.clear();
    assert.deepEqual(await boards.b.plugged(), ["disk"]);
    assert.equal((await boards.a.inspect()).state, "off");
    await boot("a");
  }
});

on("a board that does not take it fails the takeover, and is not the holder", async (bench) => {
  const { service, world, boards } = bench;
  await service.settle("a", 1, signal);
  await service.lease("b", 2, signal);
  world.failing.add("b.plug");
  await assert.rejects(service.settle("b", 2, signal), { code: "takeover-failed" });
  const { holder, leasedTo } = await service.inspect();
  assert.deepEqual({ holder, leasedTo }, { holder: null, leasedTo: "b" });
  await service.settle("a", 2, signal);
  assert.deepEqual(await boards.a.plugged(), ["disk"]);
});

on("a holder that boots again is given it again", async ({ service, restart, world, boards, boot }) => {
  await service.settle("a", 1, signal);
  world.kill("a");
  assert.match((await service.inspect()).trouble ?? "", /board a, which holds it, is off/);
  await boot("a");
  const next = restart();
  assert.deepEqual(await next.inspect(), {
    present: true,
    holder: "a",
    leasedTo: null,
    epoch: 1,
    trouble: null,
  });
  assert.deepEqual(await boards.a.plugged(), ["disk"]);
});

on("who has it is told, not who should", async ({ service, world, boards }) => {
  await service.settle("a", 1, signal);
  await boards.b.plug({ id: "disk", kind: "disk" }, signal);
  world.hanging.add("b.unplug");
  const { holder, trouble } = await service.inspect();
  assert.equal(holder, "b");
  assert.match(trouble ?? "", /board b has \/dev\/loop\d+, and board a should \(.*did not let go/);
});

on("a disk that the host itself uses is given to nobody", async ({ service, boards, disk }) => {
  const used = await open(disk, constants.O_RDWR | constants.O_EXCL);
  try {
    await service.settle("a", 1, signal);
    const { holder, trouble } = await service.inspect();
    assert.equal(holder, "a");
    assert.match(trouble ?? "", /the host itself uses \/dev\/loop\d+/);
    assert.deepEqual(await boards.a.plugged(), []);
  } finally {
    await used.close();
  }
  assert.equal((await service.inspect()).trouble, null);
  assert.deepEqual(await boards.a.plugged(), ["disk"]);
});

on("what is given up in the middle is made so by the next call", async ({ service, world, boards }) => {
  await service.settle("a", 1, signal);
  world.hanging.add("a.unplug");
  const impatience = new AbortController();
  const enough = new Error("enough");
  const leasing = service.lease("b", 2, impatience.signal);
  impatience.abort(enough);
  await assert.rejects(leasing, enough);
  world.hanging.clear();
  await service.settle("b", 2, signal);
  assert.deepEqual([await boards.a.plugged(), await boards.b.plugged()], [[], ["disk"]]);
});
