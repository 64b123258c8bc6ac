import { bridgedLab } from "../fixtures/bridged/lab.ts";
import { serviceContract } from "./service.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces need root";

serviceContract(
  "bridged",
  async () => {
    // Long enough to be given up, however late that is heard of.
    const lab = await bridgedLab("contract", { lingerMs: 1000 });
    let daemon = lab.daemon();
    return {
      service: daemon,
      restart: async () => {
        await daemon.peer.kill();
        daemon = lab.daemon();
        return daemon;
      },
      [Symbol.asyncDispose]: async () => await lab[Symbol.asyncDispose](),
    };
  },
  skip,
  "everything",
);
