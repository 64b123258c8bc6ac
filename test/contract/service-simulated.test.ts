import { SimulatedService, SimulatedServiceWorld } from "../../src/service/simulated.ts";
import { serviceContract } from "./service.ts";

serviceContract(
  "simulated",
  () => {
    const world = new SimulatedServiceWorld();
    return Promise.resolve({
      service: new SimulatedService(world),
      restart: () => Promise.resolve(new SimulatedService(world)),
      flows: {
        begin: () => Promise.resolve(world.begin()),
        on: (board) => Promise.resolve(world.flows[board]),
      },
      wire: (board, state) => Promise.resolve(world.cutWire(board, state === "cut" ? "no carrier" : null)),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    });
  },
  false,
  "new flows",
  "own",
);
