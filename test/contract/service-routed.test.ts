import { families, RoutedLab } from "../fixtures/routed/lab.ts";
import { serviceContract } from "./service.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces need root";

for (const family of families)
  serviceContract(
    `routed, ${family}`,
    async () => {
      const lab = await RoutedLab.make("contract", { families: [family] });
      let daemon = lab.daemon();
      return {
        service: daemon,
        restart: async () => {
          await daemon.peer.kill();
          daemon = lab.daemon();
          return daemon;
        },
        flows: {
          begin: async () => await lab.clients.call("begin", { kind: "silent" }),
          on: async (board) => await lab.boards[board].server.call("connections"),
        },
        [Symbol.asyncDispose]: async () => await lab[Symbol.asyncDispose](),
      };
    },
    skip,
  );
