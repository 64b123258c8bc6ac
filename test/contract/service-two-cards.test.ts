import { twoCardsLab } from "../fixtures/two-cards/lab.ts";
import { serviceContract } from "./service.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces need root";

serviceContract(
  "two cards",
  async () => {
    // Long enough to be given up, however late that is heard of.
    const lab = await twoCardsLab("contract", { lingerMs: 1000 });
    let daemon = lab.daemon();
    return {
      service: daemon,
      restart: async () => {
        await daemon.peer.kill();
        daemon = lab.daemon();
        return daemon;
      },
      wire: async (board, state) =>
        await lab.cable(board === "a" ? "up0" : "up1", state === "cut" ? "down" : "up"),
      [Symbol.asyncDispose]: async () => await lab[Symbol.asyncDispose](),
    };
  },
  skip,
  "everything",
  "own",
);
