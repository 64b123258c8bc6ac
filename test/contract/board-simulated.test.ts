import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { Board } from "../../src/board/board.ts";
import { EitherBoard } from "../../src/board/either-board.ts";
import type { BoardKind } from "../../src/board/kind.ts";
import { SimulatedBoard } from "../../src/board/simulated.ts";
import { SimulatedWorld } from "../../src/board/simulated-world.ts";
import { boardContract } from "./board.ts";

/** @param make the driver over a world. @param kind of the software. */
function contractOf(driver: string, make: (world: SimulatedWorld) => Board, kind?: BoardKind): void {
  boardContract(driver, () => {
    const world = new SimulatedWorld();
    for (const hook of ["activate", "deactivate"] as const) world.presentHooks.add(hook);
    return Promise.resolve({
      board: make(world),
      restart: () => make(world),
      restartLean: () => make(world),
      software: ({ reports = "1.0.0" } = {}) => {
        world.faults.set(reports, {
          reports: reports === "never" ? null : reports,
          failingHook: "deactivate",
        });
        return { instance: randomUUID(), version: reports, kind, images: {}, kernelArguments: "" };
      },
      device: () => Promise.resolve({ id: "disk", kind: "disk" }),
      die: (cause) => Promise.resolve(world.die("a", cause)),
      kill: () => Promise.resolve(world.kill("a")),
      hang: () => Promise.resolve(world.hang("a")),
      silenceMs: 20,
      [Symbol.asyncDispose]: () => Promise.resolve(assert.deepEqual(world.violations, [])),
    });
  });
}

const either = (world: SimulatedWorld): Board =>
  new EitherBoard([new SimulatedBoard("a", world, "container"), new SimulatedBoard("a", world, "qemu")]);

contractOf("simulated", (world) => new SimulatedBoard("a", world));
contractOf("simulated, of either kind, and its usual one", either);
contractOf("simulated, of either kind, and the other one", either, "qemu");
