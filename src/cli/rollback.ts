/** `twinboard rollback` */
import type { Command } from "@commander-js/extra-typings";
import { findSocket, type SocketOptions, socketOption, systemOption } from "./socket.ts";
import { printJson, verb } from "./verb.ts";

const goesOn = "Detached: the rollback goes on. Watch it with: twinboard status";

interface RollbackOptions extends SocketOptions {
  readonly wait: boolean;
  readonly json?: true | undefined;
}

export function addRollback(program: Command): void {
  program
    .command("rollback")
    .description("Lets the dormant board, with the previous software, take the service over again.")
    .summary("back to the previous software")
    .option("--no-wait", "return once the rollback has begun")
    .option("--json", "print one JSON object a line: record, progress, and at the end result")
    .addOption(socketOption())
    .addOption(systemOption())
    .action(async (options) => {
      await verb(options.json === true, async () => await rollback(options));
    });
}

async function rollback(options: RollbackOptions): Promise<number> {
  const { Client } = await import("./client.ts");
  const client = new Client(await findSocket(options));
  const { seq, system } = await client.status();
  const { id } = await client.rollback();
  const json = options.json === true;
  if (!options.wait) {
    if (json) printJson({ id });
    else process.stdout.write(`Begun: ${id}. Watch it with: twinboard status\n`);
    return 0;
  }
  const { watchStory } = await import("./watch-story.ts");
  const title = `Rollback of ${system}`;
  return await watchStory({
    client,
    story: id,
    kind: "rollback",
    after: seq,
    title,
    json,
    detached: () => goesOn,
  });
}
