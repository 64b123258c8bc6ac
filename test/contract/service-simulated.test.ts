import { SimulatedService, SimulatedServiceWorld } from "../../src/service/simulated.ts";
import { serviceContract } from "./service.ts";

serviceContract("simulated", () => {
  const world = new SimulatedServiceWorld();
  return Promise.resolve({
    service: new SimulatedService(world),
    restart: () => Promise.resolve(new SimulatedService(world)),
    flows: {
      begin: () => Promise.resolve(world.begin()),
      on: (board) => Promise.resolve(world.flows[board]),
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
});
