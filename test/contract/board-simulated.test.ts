import { randomUUID } from "node:crypto";
import { SimulatedBoard, SimulatedWorld } from "../../src/board/simulated.ts";
import { boardContract } from "./board.ts";

boardContract("simulated", () => {
  const world = new SimulatedWorld();
  for (const hook of ["activate", "deactivate"] as const) world.presentHooks.add(hook);
  return Promise.resolve({
    board: new SimulatedBoard("a", world),
    restart: () => new SimulatedBoard("a", world),
    software: ({ reports = "1.0.0" } = {}) => {
      world.faults.set(reports, { reports: reports === "never" ? null : reports, failingHook: "deactivate" });
      return { instance: randomUUID(), version: reports, images: {}, kernelArguments: "" };
    },
    device: () => Promise.resolve({ id: "disk", kind: "disk" }),
    die: (cause) => Promise.resolve(world.die("a", cause)),
    kill: () => Promise.resolve(world.kill("a")),
    hang: () => Promise.resolve(world.hang("a")),
    silenceMs: 20,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
});
