/** `twinboard status` */
import type { Command } from "@commander-js/extra-typings";
import { findSocket, socketOption, systemOption } from "./socket.ts";
import { statusLines } from "./status-lines.ts";
import { printJson, verb } from "./verb.ts";

export function addStatus(program: Command): void {
  program
    .command("status")
    .summary("both boards, holder, versions, phase, processor time, memory")
    .description(
      "Tells which board holds the services, what both boards are and do, and which story is under way.",
    )
    .option("--watch", "go on showing it: at each event, and each second for processor time; until Ctrl-C")
    .option("--json", "print one JSON object; with --watch one object a line")
    .addOption(socketOption())
    .addOption(systemOption())
    .action(async (options) => {
      await verb(options.json === true, async () => {
        const { Client } = await import("./client.ts");
        const client = new Client(await findSocket(options));
        if (options.watch === true) {
          const { watchStatus } = await import("./watch-status.ts");
          return await watchStatus(client, options.json === true);
        }
        const status = await client.status();
        if (options.json === true) printJson(status);
        else process.stdout.write(`${statusLines(status, Date.now()).join("\n")}\n`);
        return 0;
      });
    });
}
