import { SimulatedLeased, SimulatedLeasedWorld } from "../../src/service/simulated-leased.ts";
import { leasedContract } from "./leased.ts";
import type { LeasedSubject } from "./leased-subject.ts";

const has = ["inward", "outward", "thing"] as const;

leasedContract("simulated", make, { has });

function make(): Promise<LeasedSubject> {
  const world = new SimulatedLeasedWorld();
  return Promise.resolve({
    service: new SimulatedLeased("line", world),
    restart: () => Promise.resolve(new SimulatedLeased("line", world)),
    inward: {
      duringLease: "waits",
      say: (line) => Promise.resolve(world.say(line)),
      heard: (board) => Promise.resolve([...world.heard[board]]),
    },
    outward: {
      say: (board, line) => Promise.resolve(world.sayFrom(board, line)),
      heard: () => Promise.resolve([...world.heard.outside]),
    },
    thing: {
      takeAway: () => Promise.resolve(world.trouble("it is gone")),
      bringBack: () => Promise.resolve(world.trouble(null)),
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
}
