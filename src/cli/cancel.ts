/** `twinboard cancel` */
import type { Command } from "@commander-js/extra-typings";
import { findSocket, socketOption, systemOption } from "./socket.ts";
import { printJson, verb } from "./verb.ts";

export function addCancel(program: Command): void {
  program
    .command("cancel")
    .summary("stop an upgrade cleanly")
    .description(
      "Stops the story that is under way and undoes what it did; refused once it has been committed.",
    )
    .option("--json", "print one JSON object")
    .addOption(socketOption())
    .addOption(systemOption())
    .action(async (options) => {
      await verb(options.json === true, async () => {
        const { Client } = await import("./client.ts");
        await new Client(await findSocket(options)).cancel();
        if (options.json === true) printJson({ cancelled: true });
        else process.stdout.write("Cancelled: what was done is being undone. See: twinboard status\n");
        return 0;
      });
    });
}
