/** A CAN bus against the contract of a leased service, with stand-ins for the kernel's CAN, which few kernels of test machines have. */
import { type BoardName, boardNames } from "../../src/board/board.ts";
import { CanStandIn } from "../fixtures/can/can-stand-in.ts";
import { leasedContract } from "./leased.ts";
import type { LeasedSubject } from "./leased-subject.ts";

for (const fd of [false, true])
  leasedContract(fd ? "CAN FD" : "CAN", () => make(fd), { has: ["inward", "outward", "thing"] });

async function make(fd: boolean): Promise<LeasedSubject> {
  const host = await CanStandIn.make(fd);
  const heard: Record<BoardName | "outside", string[]> = { a: [], b: [], outside: [] };
  return {
    service: host.daemon(),
    restart: () => Promise.resolve(host.daemon()),
    inward: {
      duringLease: "heard",
      say: async (line) => {
        const reached = await host.reached("can0");
        for (const board of boardNames)
          heard[board].push(...reached.filter((card) => card === host.end(board)).map(() => line));
      },
      heard: (board) => Promise.resolve(heard[board]),
    },
    outward: {
      say: async (board, line) => {
        heard.outside.push(...(await host.reached(host.end(board))).map(() => line));
      },
      heard: () => Promise.resolve(heard.outside),
    },
    thing: {
      takeAway: async () => {
        await host.write(
          "cards",
          (await host.lines("cards")).filter((card) => card !== "can0"),
        );
        await host.write(
          "rules",
          (await host.lines("rules")).filter((rule) => !rule.includes(" can0 ")),
        );
      },
      bringBack: async () => await host.write("cards", [...(await host.lines("cards")), "can0"]),
    },
    [Symbol.asyncDispose]: async () => await host[Symbol.asyncDispose](),
  };
}
