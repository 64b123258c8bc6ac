/** A device of the host against the contract of a leased service: a loop device, and boards that are simulated. Real ones: test/system. */
import { randomUUID } from "node:crypto";
import { symlink, unlink } from "node:fs/promises";
import { join } from "node:path";
import { SimulatedBoard } from "../../src/board/simulated.ts";
import { SimulatedWorld } from "../../src/board/simulated-world.ts";
import { DeviceService } from "../../src/service/device/device.ts";
import { systemNames } from "../../src/system/names.ts";
import { makeLoopDisk, whyNoLoopDevices } from "../fixtures/device/loop-disk.ts";
import { leasedContract } from "./leased.ts";
import type { LeasedSubject } from "./leased-subject.ts";

leasedContract("device", make, { has: ["thing"], skip: await whyNoLoopDevices() });

async function make(): Promise<LeasedSubject> {
  const disk = await makeLoopDisk(1024 * 1024);
  const names = systemNames(`test-${randomUUID().slice(0, 8)}`, join(disk.directory, "run"));
  const path = join(disk.directory, "disk");
  const bringBack = (): Promise<void> => symlink(disk.path, path);
  await bringBack();
  const world = new SimulatedWorld();
  const boards = { a: new SimulatedBoard("a", world), b: new SimulatedBoard("b", world) };
  for (const board of [boards.a, boards.b]) {
    const start = { instance: randomUUID(), version: "1", images: {}, kernelArguments: "" };
    await board.start(start, AbortSignal.timeout(1000));
  }
  const daemon = (): DeviceService =>
    new DeviceService({
      name: "disk",
      names,
      device: { kind: "disk", path },
      boards,
      gid: 65_534,
      timeoutMs: 1000,
    });
  return {
    service: daemon(),
    restart: () => Promise.resolve(daemon()),
    thing: { takeAway: () => unlink(path), bringBack },
    async [Symbol.asyncDispose]() {
      await daemon().tearDown(AbortSignal.timeout(5000));
      await disk[Symbol.asyncDispose]();
    },
  };
}
