/** `twinboard place` */
import type { Command } from "@commander-js/extra-typings";
import type { Placed } from "../api/schemas.ts";
import { findSocket, socketOption, systemOption } from "./socket.ts";
import { printJson, verb } from "./verb.ts";

export function addPlace(program: Command): void {
  program
    .command("place")
    .summary("move the boards to the cores that the configuration now names")
    .description(
      "Lets the daemon read placement again from its configuration and move both boards, whether they run, sleep or are off. Refused while a story is under way. Everything else that was changed in the file waits for the daemon's next start.",
    )
    .option("--json", "print one JSON object")
    .addOption(socketOption())
    .addOption(systemOption())
    .action(async (options) => {
      await verb(options.json === true, async () => {
        const { Client } = await import("./client.ts");
        const placed = await new Client(await findSocket(options)).place();
        if (options.json === true) printJson(placed);
        else process.stdout.write(`${placedLines(placed).join("\n")}\n`);
        return 0;
      });
    });
}

function placedLines({ boards, otherChanges }: Placed): string[] {
  const lines = (["a", "b"] as const).map((name) => {
    const { cores, emulator } = boards[name];
    const other = emulator === null ? "" : `, its emulator cores ${emulator}`;
    return `Board ${name} uses ${cores === null ? "all cores" : `cores ${cores}`}${other}.`;
  });
  if (otherChanges)
    lines.push("Other parts of the file have changed too: they wait for the daemon's next start.");
  return lines;
}
